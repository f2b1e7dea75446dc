;; A core module that takes nothing of the pool but an instance. Tests add sixty of it to
;; a component.
(module)
