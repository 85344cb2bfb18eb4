//! CSV with a header (RFC 4180, with `;` or tabs as well), as a table like the others: a column
//! `label.rack` is the key `rack` of the table `labels`.
//!
//! An empty cell is a missing key; several values in one cell are separated by spaces.

use std::collections::HashSet;

use boot_server_catalog::problem::Problem;
use csv::{ReaderBuilder, StringRecord};

use super::{Document, Entry, Lines, Node, Place, Value};

/// Columns of a table within a machine, and the key of that table.
const NESTED: [(&str, &str); 3] = [
    ("label.", "labels"),
    ("labels.", "labels"),
    ("expect.", "expect"),
];

/// Columns with several values in a cell.
const LISTS: [&str; 2] = ["macs", "disks"];

/// Reads a list; reports every row that is too long or too short.
pub(super) fn read(document: &Document) -> Result<Node, Vec<Problem>> {
    let delimiter = delimiter(&document.text);
    let lines = Lines::new(&document.text);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(document.text.as_bytes());
    let mut problems = Vec::new();
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(vec![unreadable(document, &error)]),
    };
    let places_of_header = places(&lines, &header, delimiter);
    twice(document, &header, &places_of_header, &mut problems);
    let mut machines = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(unreadable(document, &error));
                break;
            }
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        let places = places(&lines, &record, delimiter);
        if record.len() != header.len() {
            let message = format!(
                "wrong number of cells: {} in this row, {} in the header",
                record.len(),
                header.len()
            );
            let help = "leave a cell empty where no value is known; put text with a comma in double quotes";
            problems.push(document.error(place(&places, 0), message, help));
            continue;
        }
        machines.push(machine(&header, &record, &places));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let at = Place::START;
    let node = Node {
        at,
        value: Value::List(machines),
    };
    let key = "machines".to_owned();
    Ok(Node {
        at,
        value: Value::Table(vec![Entry { key, at, node }]),
    })
}

/// Detects the column delimiter of the header.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let first = header.bytes().find(|b| matches!(b, b',' | b';' | b'\t'));
    first.unwrap_or(b',')
}

fn unreadable(document: &Document, error: &csv::Error) -> Problem {
    let line = error.position().map_or(1, csv::Position::line);
    let at = Place {
        line: usize::try_from(line).unwrap_or(1),
        column: 1,
    };
    document.error(at, format!("malformed CSV: {error}"), "write UTF-8 text")
}

fn twice(
    document: &Document,
    header: &StringRecord,
    places: &[Place],
    problems: &mut Vec<Problem>,
) {
    let mut seen = HashSet::new();
    for (index, column) in header.iter().enumerate() {
        if !seen.insert(column) {
            let message = format!("duplicate column `{column}`");
            problems.push(document.error(place(places, index), message, "keep one of them"));
        }
    }
}

fn machine(header: &StringRecord, record: &StringRecord, places: &[Place]) -> Node {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, (column, cell)) in header.iter().zip(record).enumerate() {
        if cell.is_empty() {
            continue;
        }
        let at = place(places, index);
        let text = |text: &str| Node {
            at,
            value: Value::Text(text.to_owned()),
        };
        let nested = NESTED
            .iter()
            .find_map(|(prefix, table)| Some((*table, column.strip_prefix(prefix)?)));
        let entry = |key: &str, node| Entry {
            key: key.to_owned(),
            at,
            node,
        };
        match nested {
            Some((table, key)) => {
                let inner = entry(key, text(cell));
                let known = entries.iter_mut().find(|entry| entry.key == table);
                match known.map(|entry| &mut entry.node.value) {
                    Some(Value::Table(inside)) => inside.push(inner),
                    _ => entries.push(entry(
                        table,
                        Node {
                            at,
                            value: Value::Table(vec![inner]),
                        },
                    )),
                }
            }
            None if LISTS.contains(&column) => {
                let items = values(column, cell);
                let list = Value::List(items.iter().map(|item| text(item)).collect());
                entries.push(entry(column, Node { at, value: list }));
            }
            None => entries.push(entry(column, text(cell))),
        }
    }
    Node {
        at: place(places, 0),
        value: Value::Table(entries),
    }
}

/// Returns the values in a cell: apart by spaces, commas or `;`. A size may have a space before its unit.
fn values(column: &str, cell: &str) -> Vec<String> {
    let words = cell
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
        .filter(|word| !word.is_empty());
    let mut values: Vec<String> = Vec::new();
    for word in words {
        let is_unit = column == "disks" && word.chars().all(char::is_alphabetic);
        match values.last_mut() {
            Some(last) if is_unit => {
                last.push(' ');
                last.push_str(word);
            }
            _ => values.push(word.to_owned()),
        }
    }
    values
}

/// Returns the position of each cell of a record: the reader knows only the record's own position, and counts
/// the empty lines before it to it.
fn places(lines: &Lines<'_>, record: &StringRecord, delimiter: u8) -> Vec<Place> {
    let start = record.position().map_or(0, csv::Position::byte);
    let start = usize::try_from(start).unwrap_or_default();
    let rest = lines.text.get(start..).unwrap_or_default();
    let text = rest.trim_start_matches(['\r', '\n']);
    let mut at = lines.place(start + rest.len() - text.len());
    let mut places = Vec::with_capacity(record.len());
    let mut in_quotes = false;
    let mut begins = true;
    for letter in text.chars() {
        if begins && letter != ' ' {
            places.push(at);
            begins = false;
        }
        match letter {
            '"' => in_quotes = !in_quotes,
            '\n' if !in_quotes => break,
            '\n' => {
                at = Place {
                    line: at.line + 1,
                    column: 0,
                }
            }
            other if !in_quotes && u32::from(other) == u32::from(delimiter) => begins = true,
            _ => {}
        }
        at.column += 1;
    }
    places
}

fn place(places: &[Place], index: usize) -> Place {
    places
        .get(index)
        .or(places.last())
        .copied()
        .unwrap_or(Place::START)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn cells_have_places_whatever_stands_before_them() {
        let text = "name;serial\n\n \"a;b\"; x\n;y\n\"c\nd\";z\n";
        let lines = Lines::new(text);
        let mut reader = ReaderBuilder::new()
            .delimiter(b';')
            .flexible(true)
            .from_reader(text.as_bytes());
        let found: Vec<(usize, usize)> = reader
            .records()
            .flat_map(|record| places(&lines, &record.unwrap(), b';'))
            .map(|place| (place.line, place.column))
            .collect();
        assert_eq!(found, [(3, 2), (3, 9), (4, 1), (4, 2), (5, 1), (6, 4)]);
    }

    #[test]
    fn a_unit_belongs_to_the_number_before_it() {
        assert_eq!(
            values("disks", "20 GiB 1TiB, 4 GiB"),
            ["20 GiB", "1TiB", "4 GiB"]
        );
        assert_eq!(values("macs", "a b;c"), ["a", "b", "c"]);
    }

    #[test]
    fn every_row_of_another_length_is_told() {
        let document = Document::new(Path::new("m.csv"), "name,serial,name\na\nb,1,2\nc,1,2,3\n");
        let told: Vec<String> = read(&document)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "m.csv:1:13: duplicate column `name`",
                "m.csv:2:1: wrong number of cells: 1 in this row, 3 in the header",
                "m.csv:4:1: wrong number of cells: 4 in this row, 3 in the header",
            ]
        );
    }
}
