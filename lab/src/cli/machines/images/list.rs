//! `lab images list`: prints one line per channel, with the versions in the cache.

use images::catalog::model::{Entry, Source};
use images::store::Stored;

use super::{Failure, catalog, store};
use crate::cli::Folders;

pub(super) fn run(folders: &Folders) -> Result<(), Failure> {
    let (catalog, stored) = (catalog(folders)?, store(folders)?.list());
    let mut lines = vec![["IMAGE", "ARCHITECTURE", "CACHED", "DESCRIPTION"].map(str::to_owned)];
    for entry in catalog.entries() {
        if entry.channels.is_empty() {
            lines.push(line(entry, &entry.name, "-", &stored));
        }
        for channel in &entry.channels {
            let name = format!("{}:{channel}", entry.name);
            lines.push(line(entry, &name, channel, &stored));
        }
    }
    print!("{}", table(&lines));
    Ok(())
}

fn line(entry: &Entry, name: &str, channel: &str, stored: &[Stored]) -> [String; 4] {
    let here: Vec<String> = stored
        .iter()
        .map(|stored| &stored.record)
        .filter(|record| record.name == entry.name && record.channel == channel)
        .map(|record| format!("{}/{}", record.version, record.architecture.name()))
        .collect();
    let architectures: Vec<&str> = entry.architectures.iter().map(|arch| arch.name()).collect();
    let note = match &entry.source {
        Source::Directory(directory) if directory.needs_mirror && directory.mirror.is_none() => {
            " (needs --mirror)"
        }
        Source::Built => " (lab images build)",
        _ => "",
    };
    [
        name.to_owned(),
        architectures.join(" "),
        if here.is_empty() {
            "-".into()
        } else {
            here.join(" ")
        },
        format!("{}{note}", entry.summary),
    ]
}

fn table(lines: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [0, 1, 2].map(width);
    let mut text = String::new();
    for [name, architectures, here, what] in lines {
        let [a, b, c] = widths;
        text += &format!("{name:a$}  {architectures:b$}  {here:c$}  {what}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use images::catalog::Catalog;

    #[test]
    fn columns_stand_below_each_other() {
        let catalog = Catalog::own().unwrap();
        let flatcar = catalog.entry("flatcar").unwrap();
        let head = ["IMAGE", "ARCHITECTURE", "CACHED", "DESCRIPTION"].map(str::to_owned);
        let text = table(&[head, line(flatcar, "flatcar:stable", "stable", &[])]);
        assert_eq!(
            text,
            "IMAGE           ARCHITECTURE  CACHED  DESCRIPTION\n\
             flatcar:stable  amd64 arm64   -       Flatcar Container Linux\n"
        );
    }
}
