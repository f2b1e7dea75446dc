//! Shows answers: as a table to read, or as the server's JSON with the values that came.
//!
//! Text is made visible before a table is laid out, for a hidden character has another width
//! than the number that is shown for it.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use crate::visible::{visible, visible_json, visible_line};

/// The choice of `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

/// A JSON value over several lines.
pub(super) fn json(value: &Value) -> String {
    visible_json(&format!("{value:#}\n")).into_owned()
}

/// Names, one a line.
pub(super) fn lines<T: AsRef<str>>(names: &[T]) -> String {
    names
        .iter()
        .map(|name| format!("{}\n", visible_line(name.as_ref())))
        .collect()
}

/// The fields of an object, one a line: name, value. Objects within are shown
/// by their own fields, as `outer.inner`.
pub(super) fn fields(value: &Value) -> String {
    let mut table = plain();
    if let Value::Object(object) = value {
        add_fields(&mut table, "", object);
    }
    finished(&table)
}

fn add_fields(table: &mut Table, prefix: &str, object: &Map<String, Value>) {
    for (name, value) in object {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                add_fields(table, &format!("{prefix}{name}."), inner);
            }
            _ => {
                let name_shown = visible_line(&format!("{prefix}{name}")).into_owned();
                table.add_row([name_shown, visible(&cell(name, value)).into_owned()]);
            }
        }
    }
}

/// Rows under a heading; the columns are fields of each row, by name.
pub(super) fn rows<'v>(columns: &[&str], rows: impl IntoIterator<Item = &'v Value>) -> String {
    let mut table = plain();
    table.set_header(
        columns
            .iter()
            .map(|column| column.to_uppercase().replace('_', " ")),
    );
    for row in rows {
        table.add_row(columns.iter().enumerate().map(|(at, column)| {
            let cell = cell(column, row.get(column).unwrap_or(&Value::Null));
            // A second line of the first column would look like another row.
            let shown = if at == 0 {
                visible_line(&cell)
            } else {
                visible(&cell)
            };
            shown.into_owned()
        }));
    }
    finished(&table)
}

/// The text for an empty value.
const NOTHING: &str = "-";

/// A value as a person reads it: no quotes, lists with commas, seconds as a
/// duration where the field's name says that it is one.
fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::Array(items) if items.is_empty() => NOTHING.to_owned(),
        Value::String(text) => text.trim_end().to_owned(),
        Value::Number(number) if is_duration(name) => {
            number.as_u64().map_or_else(|| number.to_string(), duration)
        }
        Value::Array(items)
            if items
                .iter()
                .all(|item| !item.is_object() && !item.is_array()) =>
        {
            let items: Vec<String> = items.iter().map(|item| cell("", item)).collect();
            // Certificates of a chain stand below each other, names beside.
            let separator = if items.iter().any(|item| item.contains('\n')) {
                "\n"
            } else {
                ", "
            };
            items.join(separator)
        }
        other => other.to_string(),
    }
}

fn is_duration(name: &str) -> bool {
    name == "ttl"
        || ["_ttl", "_duration", "_period", "_grace", "timeout"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

/// Whole seconds in the two largest units that they fill: `1h30m`, `768h`.
pub(super) fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (number, unit) in [(hours, 'h'), (minutes, 'm'), (rest, 's')] {
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn plain() -> Table {
    let mut table = Table::new();
    // Never cut or wrapped: a table may be piped, and a key must stay whole.
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn finished(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        // The first column starts at the left edge, nothing trails at the right.
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{duration, fields, rows};

    #[test]
    fn seconds_are_shown_as_a_duration() {
        for (seconds, shown) in [
            (0, "0s"),
            (59, "59s"),
            (90, "1m30s"),
            (3600, "1h"),
            (5430, "1h30m30s"),
            (2_764_800, "768h"),
        ] {
            assert_eq!(duration(seconds), shown);
        }
    }

    #[test]
    fn the_fields_of_an_object_are_aligned_and_whole() {
        let shown = fields(&json!({
            "username": "app-1",
            "ttl": 60,
            "config": { "max_lease_ttl": 3600, "allowed_hosts": ["tcp://a:1", "tcp://b:2"] },
            "expire_time": null,
            "warnings": [],
            "certificate": "-----BEGIN-----\nabc\n-----END-----\n",
        }));
        let expected = "\
username              app-1
ttl                   1m
config.max_lease_ttl  1h
config.allowed_hosts  tcp://a:1, tcp://b:2
expire_time           -
warnings              -
certificate           -----BEGIN-----
                      abc
                      -----END-----
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn rows_stand_under_their_headings() {
        let list = [
            json!({ "path": "db/", "running_version": "0.1.0" }),
            json!({ "path": "pki/" }),
        ];
        let shown = rows(&["path", "running_version"], &list);
        assert_eq!(shown, "PATH  RUNNING VERSION\ndb/   0.1.0\npki/  -\n");
    }
}
