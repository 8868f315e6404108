//! The header: declarations and comments by cbindgen, their order by contract.txt, set as a person would set them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::parse::{Item, Kind, Member, parse};

const WIDTH: usize = 120;

/// The folder of the crate.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The header that is committed.
pub fn header_path() -> PathBuf {
    root().join("include/pondsocket.h")
}

/// A section of contract.txt: its heading, and its lines.
#[derive(Default)]
pub struct Section {
    pub heading: String,
    pub lines: Vec<String>,
}

/// The contract. The lines before the first heading are a section without one.
pub fn contract() -> Vec<Section> {
    let text = std::fs::read_to_string(root().join("tests/header/contract.txt")).expect("contract.txt");
    let mut sections = vec![Section::default()];
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push(Section {
                heading: heading.to_owned(),
                lines: Vec::new(),
            });
        } else if !line.is_empty() && !line.starts_with("# ") {
            if let Some(section) = sections.last_mut() {
                section.lines.push(line.to_owned());
            }
        }
    }
    sections
}

/// Generates the header from the sources as they are.
pub fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let opening = config.header.take().expect("a header text");
    let guard = config.include_guard.take().expect("an include guard");
    let api = config.after_includes.take().expect("the POND_API block");
    let includes = std::mem::take(&mut config.sys_includes);
    let mut declarations = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root().join("src/ffi/mod.rs"))
        .generate()
        .expect("cbindgen reads the sources")
        .write(&mut declarations);
    let (defines, mut items): (Vec<_>, Vec<_>) = parse(&String::from_utf8(declarations).expect("UTF-8"))
        .into_iter()
        .partition(|item| matches!(item.kind, Kind::Define { .. }));

    let mut out = format!("{}\n#ifndef {guard}\n#define {guard}\n\n", opening.trim_start());
    for include in includes {
        put(&mut out, format_args!("#include <{include}>\n"));
    }
    out.push('\n');
    for (part, value) in [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        put(&mut out, format_args!("#define POND_VERSION_{part} {value}\n"));
    }
    for define in defines {
        put(&mut out, format_args!("\n{}", set(&define)));
    }
    put(
        &mut out,
        format_args!("\n{}\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n", api.trim_start()),
    );

    for section in contract() {
        if !section.heading.is_empty() {
            let mut of_section = take_section(&mut items, &section);
            put_section(&mut out, &section.heading, &mut of_section);
        }
    }
    // Nothing gets lost: the comparison with the contract tells what is too much.
    if !items.is_empty() {
        put_section(&mut out, "not in the contract", &mut items);
    }
    put(
        &mut out,
        format_args!("\n#ifdef __cplusplus\n}}\n#endif\n#endif /* {guard} */\n"),
    );
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all");
}

/// The items of a section in its order.
fn take_section(items: &mut Vec<Item>, section: &Section) -> Vec<Item> {
    let places = section.lines.iter().map(|line| name_of(line));
    let mut found = Vec::new();
    for name in places {
        if let Some(at) = items.iter().position(|item| item.name == name) {
            found.push(items.remove(at));
        }
    }
    found
}

/// The name of what a line of the contract declares.
fn name_of(line: &str) -> String {
    let mut words = line.split(' ');
    if line.contains(" = ") {
        words.next().unwrap_or_default().to_owned()
    } else if line.starts_with("struct ") {
        words.nth(1).unwrap_or_default().to_owned()
    } else {
        parse(line).pop().map(|item| item.name).unwrap_or_default()
    }
}

fn put_section(out: &mut String, heading: &str, items: &mut Vec<Item>) {
    let dashes = WIDTH.saturating_sub(heading.len() + 12).max(2);
    put(out, format_args!("\n/* ---- {heading} {} */\n", "-".repeat(dashes)));
    let mut opaque = Vec::new();
    let mut texts = Vec::new();
    for item in items.drain(..) {
        match &item.kind {
            Kind::Typedef { declaration } if !declaration.contains('(') => {
                opaque.push((format!("{declaration};"), item.comment));
            }
            _ => texts.push(set(&item)),
        }
    }
    // The handles and objects stand together, as a table.
    if !opaque.is_empty() {
        texts.insert(0, set_table(&opaque, ""));
    }
    for text in texts {
        put(out, format_args!("\n{text}"));
    }
}

/// An item in its final form.
fn set(item: &Item) -> String {
    match &item.kind {
        Kind::Define { value } => {
            let value = match value.parse::<u64>() {
                Ok(number) if number > i32::MAX as u64 => format!("0x{number:X}u"),
                _ => value.clone(),
            };
            comment(&item.comment, "") + &format!("#define {} {value}\n", item.name)
        }
        Kind::Typedef { declaration } => comment(&item.comment, "") + &wrapped(declaration) + ";\n",
        Kind::Function { declaration } => {
            comment(&item.comment, "") + &wrapped(&format!("POND_API {declaration}")) + ";\n"
        }
        Kind::Enum { values } => comment(&item.comment, "") + "enum {\n" + &set_members(values, ",") + "};\n",
        Kind::Struct { fields } => {
            let name = &item.name;
            comment(&item.comment, "") + &format!("typedef struct {name} {{\n{}}} {name};\n", set_members(fields, ";"))
        }
    }
}

/// Values or fields, a comment behind each. Where numbers are skipped a new group begins.
fn set_members(members: &[Member], terminator: &str) -> String {
    let mut groups: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let mut before: Option<i64> = None;
    for (index, member) in members.iter().enumerate() {
        let number = member
            .text
            .rsplit(" = ")
            .next()
            .and_then(|number| number.parse::<i64>().ok());
        if let (Some(before), Some(number)) = (before, number) {
            if before.abs_diff(number) > 1 {
                groups.push(Vec::new());
            }
        }
        before = number;
        let last = terminator == "," && index + 1 == members.len();
        let line = format!("{}{}", member.text, if last { "" } else { terminator });
        if let Some(group) = groups.last_mut() {
            group.push((line, member.comment.clone()));
        }
    }
    let tables: Vec<_> = groups.iter().map(|group| set_table(group, "    ")).collect();
    tables.join("\n")
}

/// Lines, and in a column behind them their comments. A comment that is too long for that stands above its line.
fn set_table(rows: &[(String, String)], indent: &str) -> String {
    let column = rows.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (line, text) in rows {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let one_line = format!("{indent}{line:column$} /* {text} */");
        if text.is_empty() || one_line.len() > WIDTH {
            put(&mut out, format_args!("{}{indent}{line}\n", comment(&text, indent)));
        } else {
            put(&mut out, format_args!("{one_line}\n"));
        }
    }
    out
}

/// A block comment: paragraphs and list items filled to the width.
fn comment(text: &str, indent: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    assert!(!text.contains("*/"), "a comment would end inside: {text}");
    let room = WIDTH - indent.len() - 6;
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            lines.push(String::new());
            open = false;
            continue;
        }
        // List items, and what a function answers, begin a line of their own.
        let is_entry = line.trim_start().starts_with("- ") || line.trim_start().starts_with("POND_OK");
        for (index, word) in line.split_whitespace().enumerate() {
            let starts = !open || (is_entry && index == 0);
            match lines.last_mut() {
                Some(last) if !starts && last.len() + 1 + word.len() <= room => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
            open = true;
        }
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    let body = lines.join(&format!("\n{indent} * ")).replace(" * \n", " *\n");
    format!("{indent}/* {body} */\n")
}

/// A declaration broken between its parameters, those below each other.
fn wrapped(declaration: &str) -> String {
    // One column is the semicolon's.
    if declaration.len() < WIDTH {
        return declaration.to_owned();
    }
    let column = declaration.find('(').map_or(4, |at| at + 1);
    let mut out = String::new();
    let mut line = String::new();
    let parameters: Vec<_> = declaration.split(", ").collect();
    for (index, parameter) in parameters.iter().enumerate() {
        let comma = if index + 1 == parameters.len() { "" } else { "," };
        if !line.is_empty() && line.len() + 1 + parameter.len() + 1 > WIDTH {
            put(&mut out, format_args!("{}\n", line.trim_end()));
            line = " ".repeat(column);
        } else if index > 0 {
            line.push(' ');
        }
        line.push_str(parameter);
        line.push_str(comma);
    }
    out + &line
}
