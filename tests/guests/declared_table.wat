;; A component that begins with a table of a million elements.
(component
  (core module $guest (table 1000000 funcref))
  (core instance (instantiate $guest)))
