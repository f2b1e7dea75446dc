;; A component that begins with a gigabyte of memory.
(component
  (core module $guest (memory 16384))
  (core instance (instantiate $guest)))
