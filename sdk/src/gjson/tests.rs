use super::*;

/// The example that the documentation of gjson uses throughout.
const PERSON: &str = r#"{
  "name": {"first": "Tom", "last": "Anderson"},
  "age":37,
  "children": ["Sara","Alex","Jack"],
  "fav.movie": "Deer Hunter",
  "friends": [
    {"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"]},
    {"first": "Roger", "last": "Craig", "age": 68, "nets": ["fb", "tw"]},
    {"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"]}
  ]
}"#;

const TRUTHS: &str = r#"{"vals": [
  {"a": 1, "b": "data"}, {"a": 2, "b": true}, {"a": 3, "b": false}, {"a": 4, "b": "0"},
  {"a": 5, "b": 0}, {"a": 6, "b": "1"}, {"a": 7, "b": 1}, {"a": 8, "b": "true"},
  {"a": 9, "b": false}, {"a": 10, "b": null}, {"a": 11}
]}"#;

/// Nothing is `-`.
fn text(json: &str, path: &str) -> String {
    match get(json, path) {
        Ok(found) => found.map_or("-".to_owned(), |found| found.text().to_string()),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn hold(json: &str, cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(text(json, path), *expected, "{path}");
    }
}

#[test]
fn keys_and_elements_are_found_as_the_documentation_says() {
    hold(
        PERSON,
        &[
            ("name.last", "Anderson"),
            ("name.first", "Tom"),
            ("age", "37"),
            ("children", r#"["Sara","Alex","Jack"]"#),
            ("children.0", "Sara"),
            ("children.3", "-"),
            ("children.-1", "-"),
            ("children.first", "-"),
            ("friends.1.first", "Roger"),
            ("friends.1.nets.0", "fb"),
            ("child*.2", "Jack"),
            ("c?ildren.0", "Sara"),
            ("*.last", "Anderson"),
            (r"c\?ildren.0", "-"),
            (r"fav\.movie", "Deer Hunter"),
            ("fav.movie", "-"),
            ("nothing", "-"),
            ("name.first.x", "-"),
            ("", "-"),
            ("|", "-"),
            ("name.", "-"),
        ],
    );
}

#[test]
fn lists_counts_and_pipes_are_as_the_documentation_says() {
    let murphys = concat!(
        r#"[{"first": "Dale", "last": "Murphy", "age": 44, "nets": ["ig", "fb", "tw"]},"#,
        r#"{"first": "Jane", "last": "Murphy", "age": 47, "nets": ["ig", "tw"]}]"#
    );
    hold(
        PERSON,
        &[
            ("friends.#", "3"),
            ("friends|#", "3"),
            ("age.#", "-"),
            ("friends.#.age", "[44,68,47]"),
            ("friends.#.age|1", "68"),
            ("friends.#.age.1", "[]"),
            ("friends.#.nets.#", "[3,2,2]"),
            ("friends.#.nets.#.x", "[[],[],[]]"),
            ("friends.#.nothing", "[]"),
            ("friends.0.first", "Dale"),
            ("friends|0.first", "Dale"),
            ("friends.0|first", "Dale"),
            ("friends|0|first", "Dale"),
            (r#"friends.#(last="Murphy")#"#, murphys),
            (r#"friends.#(last="Murphy")#.first"#, r#"["Dale","Jane"]"#),
            (r#"friends.#(last="Murphy")#|first"#, "-"),
            (r#"friends.#(last="Murphy")#.0"#, "[]"),
            (r#"friends.#(last="Murphy")#|0.first"#, "Dale"),
            (r#"friends.#(last="Murphy")#.#"#, "[]"),
            (r#"friends.#(last="Murphy")#|#"#, "2"),
            (r#"friends.#(last="Murphy")#.first|1"#, "Jane"),
        ],
    );
}

#[test]
fn queries_are_as_the_documentation_says() {
    hold(
        PERSON,
        &[
            (r#"friends.#(last=="Murphy").first"#, "Dale"),
            (r#"friends.#(last=="Murphy")|first"#, "Dale"),
            (r#"friends.#[last=="Murphy"].first"#, "Dale"),
            ("friends.#(last==Murphy).first", "Dale"),
            (
                r#"friends.#( last == "Murphy" )#.first"#,
                r#"["Dale","Jane"]"#,
            ),
            (r#"friends.#(last!="Murphy").first"#, "Roger"),
            (r#"friends.#(last=="Nobody").first"#, "-"),
            (r#"friends.#(last=="Nobody")#.first"#, "[]"),
            ("friends.#(age>45)#.last", r#"["Craig","Murphy"]"#),
            ("friends.#(age>=47)#.age", "[68,47]"),
            ("friends.#(age<47)#.age", "[44]"),
            ("friends.#(age<=47)#.age", "[44,47]"),
            (r#"friends.#(first%"D*").last"#, "Murphy"),
            (r#"friends.#(first!%"D*").last"#, "Craig"),
            (r#"children.#(!%"*a*")"#, "Alex"),
            (r#"children.#(%"*a*")#"#, r#"["Sara","Jack"]"#),
            (r#"friends.#(nets.#(=="fb"))#.first"#, r#"["Dale","Roger"]"#),
            (r#"friends.#(nets.#(=="fb"))#.nets.#(=="ig")|0"#, "ig"),
            ("friends.#(nothing)#.first", "[]"),
            ("friends.#(nets.1)#.age", "[44,68,47]"),
        ],
    );
    hold(
        TRUTHS,
        &[
            ("vals.#(b==~true)#.a", "[2,6,7,8]"),
            ("vals.#(b==~false)#.a", "[3,4,5,9,10,11]"),
            ("vals.#(b==~null)#.a", "[10,11]"),
            ("vals.#(b==~*)#.a", "[1,2,3,4,5,6,7,8,9,10]"),
            ("vals.#(b!=~*)#.a", "[11]"),
            // A text is compared as a text, and what is no number is 0 to a number.
            ("vals.#(b==true)#.a", "[2,5,8]"),
            ("vals.#(b>false)#.a", "[2,7,8]"),
            ("vals.#(b==~maybe)#.a", "[]"),
        ],
    );
    // A bracket, an escape and a pipe in the value of a query.
    let odd = r#"{"l": [{"k": "a)b|c\"d", "v": 1}, {"k": "x", "v": {"w": 2}}]}"#;
    hold(
        odd,
        &[
            (r#"l.#(k=="a)b|c\"d").v"#, "1"),
            (r#"l.#.v|#"#, "2"),
            (r#"l.#(k=="a)b|c\"d")#.v|0"#, "1"),
        ],
    );
}

#[test]
fn modifiers_make_another_value() {
    hold(
        PERSON,
        &[
            ("children.@reverse", r#"["Jack","Alex","Sara"]"#),
            ("children.@reverse.0", "Jack"),
            ("children|@reverse|0", "Jack"),
            ("name.@reverse", r#"{"last":"Anderson","first":"Tom"}"#),
            ("name.@keys", r#"["first","last"]"#),
            ("name.@values", r#"["Tom","Anderson"]"#),
            ("name.@ugly", r#"{"first":"Tom","last":"Anderson"}"#),
            ("@this.age", "37"),
            ("@valid.age", "37"),
            ("age.@this", "37"),
            ("name.@tostr", r#"{"first": "Tom", "last": "Anderson"}"#),
            ("name.@tostr.@fromstr.first", "Tom"),
            ("name.first.@fromstr", "-"),
            ("name.@unknown", "-"),
        ],
    );
    let nested = r#"{"a": [1,[2],[3,[4]]], "@key": 5}"#;
    hold(
        nested,
        &[
            ("a.@flatten", "[1,2,3,[4]]"),
            (r#"a.@flatten:{"deep":true}"#, "[1,2,3,4]"),
            (r#"a.@flatten:{"deep":true}|#"#, "4"),
            ("@key", "5"),
        ],
    );
}

#[test]
fn a_value_becomes_a_text_as_in_gjson() {
    let values = r#"{"s": "a\u00e9\n\"", "i": 12345678901234567890, "f": 1.50, "e": 1e3,
        "n": null, "t": true, "o": { "a" : 1 }, "neg": -0.25, "": "empty", "dup": 1, "dup": 2}"#;
    hold(
        values,
        &[
            ("s", "a\u{e9}\n\""),
            ("i", "12345678901234567890"),
            ("f", "1.5"),
            ("e", "1000"),
            ("n", ""),
            ("t", "true"),
            ("o", r#"{ "a" : 1 }"#),
            ("neg", "-0.25"),
            ("dup", "1"),
        ],
    );
    assert_eq!(get(values, "f").unwrap().unwrap().raw(), "1.50");
    assert_eq!(
        format!("{:?}", get(values, "s").unwrap().unwrap()),
        "Found(****)"
    );
}

#[test]
fn members_stand_as_they_do_in_the_document() {
    let read = members(" {\"a\": 1.0, \"b c\": \"d\", \"e\": [1, 2], \"f\": {}}").unwrap();
    let read: Vec<(String, String)> = read
        .unwrap()
        .iter()
        .map(|(name, found)| (name.clone(), found.raw().to_owned()))
        .collect();
    let expected = [("a", "1.0"), ("b c", "\"d\""), ("e", "[1, 2]"), ("f", "{}")];
    let expected = expected.map(|(name, raw)| (name.to_owned(), raw.to_owned()));
    assert_eq!(read, expected);
    assert_eq!(members("[1]"), Ok(None));
    assert_eq!(members("{"), Err(PathError::NotJson));
}

#[test]
fn what_is_not_evaluated_is_told_and_nothing_ends_the_program() {
    for (path, says) in [
        ("{name.first,age}", "multipaths"),
        ("name.[first,last]", "multipaths"),
        ("name|!\"x\"", "literals"),
        ("..0", "JSON lines"),
        ("friends.@pretty", "@pretty"),
        ("friends.#(last==\"Murphy\".first", "no end"),
        ("friends.#(", "no end"),
        (&"a.".repeat(600), "1024 bytes"),
    ] {
        let told = text(PERSON, path);
        assert!(
            told.starts_with("error: ") && told.contains(says),
            "{path}: {told}"
        );
    }
    assert_eq!(
        text("no JSON", "a"),
        "error: there is no JSON to follow it in"
    );
    assert_eq!(text("7", "a"), "-");
    assert_eq!(text("[]", "#"), "0");
    // Each turn doubles the backslashes.
    let doubled = format!("@this{}", ".@tostr".repeat(60));
    assert_eq!(get(r#""\"""#, &doubled), Err(PathError::TooLarge));
    // Deep documents are passed over without calls in calls.
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(text(&deep, r#"@flatten:{"deep":true}"#).starts_with("[[["));
    assert_eq!(text("[1,[[[2]]]]", r#"@flatten:{"deep":true}"#), "[1,2]");
    for cut in 0..PATHS.len() {
        let _ = PATHS.get(..cut).map(|path| get(PERSON, path));
        let _ = PATHS.get(cut..).map(|path| get(PERSON, path));
    }
}

/// Every sign that means something; each of its ends is tried as a path.
const PATHS: &str = r#"friends.#(nets.#(=="fb")#)#.first|@reverse:{"a":[1]}.0\.x*?.#.é|#(%"\")~*"#;
