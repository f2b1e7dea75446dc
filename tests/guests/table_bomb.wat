;; A provider that asks for a table of a million elements in `create`. By hand,
;; because a compiler makes no such instruction of Rust.
;;
;; Its functions take one pointer, as every function with so many parameters
;; does, and give a pointer to their result. Memory is zero where nothing is
;; said: a result of zeros is a success with nothing in it.
(component
  (component $provider
    (core module $guest
      (memory (export "memory") 2)
      (table $table 1 funcref)
      (global $free (mut i32) (i32.const 65536))
      (func (export "allocate") (param i32 i32 i32) (param $size i32) (result i32)
        (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $size))))
      (func (export "describe") (result i32) (i32.const 1024))
      (func (export "succeed") (param i32) (result i32) (i32.const 4096))
      (func (export "create") (param i32) (result i32)
        (if (i32.lt_s (table.grow $table (ref.null func) (i32.const 1000000)) (i32.const 0))
          (then unreachable))
        (i32.const 4096))
      ;; The descriptor: pointers and lengths of its texts, then zeros: no
      ;; endpoints, names of any length, nothing left upstream.
      (data (i32.const 1024)
        "\00\08\00\00\0a\00\00\00" ;; name
        "\10\08\00\00\05\00\00\00" ;; version
        "\18\08\00\00\04\00\00\00" ;; summary
        "\20\08\00\00\11\00\00\00" ;; config-schema
        "\20\08\00\00\11\00\00\00" ;; role-schema
        "\20\08\00\00\11\00\00\00" ;; request-schema
        "\40\08\00\00\19\00\00\00") ;; credential-schema
      (data (i32.const 2048) "table-bomb")
      (data (i32.const 2064) "0.1.0")
      (data (i32.const 2072) "Grow")
      (data (i32.const 2080) "{\"type\":\"object\"}")
      (data (i32.const 2112) "{\"required\":[\"password\"]}"))
    (core instance $guest (instantiate $guest))

    (type $requester-record (record
      (field "display-name" string)
      (field "accessor" string)
      (field "metadata" (list (tuple string string)))))
    (export $requester "requester" (type $requester-record))
    (type $context-record (record
      (field "operation-id" string)
      (field "attempt" u32)
      (field "mount" string)
      (field "role-name" (option string))
      (field "principal-name" string)
      (field "requester" (option $requester))
      (field "timeout-ms" u64)))
    (export $context "context" (type $context-record))
    (type $descriptor-record (record
      (field "name" string)
      (field "version" string)
      (field "summary" string)
      (field "config-schema" string)
      (field "role-schema" string)
      (field "request-schema" string)
      (field "credential-schema" string)
      (field "endpoints" (list string))
      (field "name-limit" u32)
      (field "leaves-state" bool)
      (field "propagation-s" u32)))
    (export $descriptor "descriptor" (type $descriptor-record))
    (type $failure-class-enum (enum
      "invalid-config" "invalid-request" "denied" "not-found" "conflict" "rate-limited"
      "unavailable" "unsupported" "internal"))
    (export $failure-class "failure-class" (type $failure-class-enum))
    (type $failure-record (record
      (field "class" $failure-class)
      (field "code" string)
      (field "message" string)
      (field "retry-after-ms" (option u64))))
    (export $failure "failure" (type $failure-record))
    (type $validation-record (record
      (field "identity" (option string))
      (field "warnings" (list string))))
    (export $validation "validation" (type $validation-record))
    (type $credential-record (record
      (field "id" string)
      (field "data" string)
      (field "metadata" string)
      (field "expires-in-s" (option u64))))
    (export $credential "credential" (type $credential-record))
    (type $revocation-variant (variant
      (case "credential" string)
      (case "unknown-credential")
      (case "former-root" string)))
    (export $revocation "revocation" (type $revocation-variant))
    (type $rotation-variant (variant (case "root") (case "account" string)))
    (export $rotation "rotation" (type $rotation-variant))
    (type $rotated-record (record
      (field "secret" string)
      (field "retires" (option string))
      (field "metadata" string)))
    (export $rotated "rotated" (type $rotated-record))

    (func $describe (result $descriptor)
      (canon lift (core func $guest "describe") (memory (core memory $guest "memory"))))
    (export "describe" (func $describe))
    (func $validate-config
      (param "ctx" $context) (param "config" string) (param "role" (option string))
      (result (result $validation (error $failure)))
      (canon lift (core func $guest "succeed")
        (memory (core memory $guest "memory")) (realloc (core func $guest "allocate"))))
    (export "validate-config" (func $validate-config))
    (func $create
      (param "ctx" $context) (param "config" string) (param "role" string)
      (param "request" string) (param "expires-at" (option u64))
      (result (result $credential (error $failure)))
      (canon lift (core func $guest "create")
        (memory (core memory $guest "memory")) (realloc (core func $guest "allocate"))))
    (export "create" (func $create))
    (func $revoke
      (param "ctx" $context) (param "config" string) (param "role" (option string))
      (param "what" $revocation)
      (result (result (error $failure)))
      (canon lift (core func $guest "succeed")
        (memory (core memory $guest "memory")) (realloc (core func $guest "allocate"))))
    (export "revoke" (func $revoke))
    (func $rotate
      (param "ctx" $context) (param "config" string) (param "what" $rotation)
      (result (result $rotated (error $failure)))
      (canon lift (core func $guest "succeed")
        (memory (core memory $guest "memory")) (realloc (core func $guest "allocate"))))
    (export "rotate" (func $rotate)))
  (instance $provider (instantiate $provider))
  (export "lessor:provider/provider@0.1.0" (instance $provider)))
