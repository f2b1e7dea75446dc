;; A core module with a table, thirty of which tests add to a component.
(module (table 1 funcref))
