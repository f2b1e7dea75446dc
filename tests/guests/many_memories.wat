;; A core module with a memory, several of which tests add to a component.
(module (memory 1))
