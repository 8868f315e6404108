//! Reads the declarations of a C header, as cbindgen writes it and as we set it: as much C as those two need.

/// A declaration of the top level.
#[derive(Debug)]
pub struct Item {
    pub name: String,
    /// The comment right before or right behind it; empty when there is none.
    pub comment: String,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    /// `#define NAME value`
    Define {
        value: String,
    },
    /// An enum and its values (`NAME = 1`). It is named after its first value.
    Enum {
        values: Vec<Member>,
    },
    /// A struct and its fields (`int32_t kind`).
    Struct {
        fields: Vec<Member>,
    },
    /// A typedef without fields.
    Typedef {
        declaration: String,
    },
    Function {
        declaration: String,
    },
}

/// A value or field.
#[derive(Debug)]
pub struct Member {
    pub text: String,
    pub comment: String,
}

impl Item {
    /// The item in the words of contract.txt, one line each.
    pub fn contract_lines(&self) -> Vec<String> {
        match &self.kind {
            // The version is Cargo.toml's business.
            Kind::Define { .. } if self.name.starts_with("POND_VERSION_") => {
                vec![format!("#define {}", self.name)]
            }
            Kind::Define { value } => vec![format!("#define {} {value}", self.name)],
            Kind::Enum { values } => values.iter().map(|value| value.text.clone()).collect(),
            Kind::Struct { fields } => {
                let fields: Vec<_> = fields.iter().map(|field| format!("{};", field.text)).collect();
                vec![format!("struct {} {{ {} }};", self.name, fields.join(" "))]
            }
            Kind::Typedef { declaration } | Kind::Function { declaration } => vec![format!("{declaration};")],
        }
    }
}

/// One piece of C: up to its terminator, with its comment.
#[derive(Default)]
struct Piece {
    text: String,
    comment: String,
}

/// All declarations of a header.
pub fn parse(header: &str) -> Vec<Item> {
    let (defines, code) = without_preprocessor(header);
    let mut items = Vec::new();
    for (comment, line) in defines {
        let mut words = line.splitn(3, char::is_whitespace).skip(1);
        let name = words.next().unwrap_or_default().to_owned();
        let value = words.next().unwrap_or_default().trim().to_owned();
        if name.starts_with("POND_") && name != "POND_API" {
            items.push(Item {
                name,
                comment,
                kind: Kind::Define { value },
            });
        }
    }
    items.extend(pieces(&code, ';').into_iter().map(item));
    items
}

/// The `#define` lines with their comments, and the text without any preprocessor line or what is meant for C++ only.
fn without_preprocessor(header: &str) -> (Vec<(String, String)>, String) {
    let mut defines = Vec::new();
    let mut code = String::new();
    let mut for_cpp = false;
    // Where the code ended before the comment that a `#define` may follow.
    let mut before_comment = 0;
    for line in header.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("#ifdef __cplusplus") {
            for_cpp = true;
        } else if for_cpp {
            for_cpp = !trimmed.starts_with("#endif");
        } else if trimmed.starts_with("#define") {
            let (define, behind) = trimmed.split_once("/*").unwrap_or((trimmed, ""));
            let before = code.split_off(before_comment.min(code.len()));
            let comment = if behind.is_empty() { &before } else { behind };
            defines.push((plain_comment(comment), define.trim_end().to_owned()));
            before_comment = code.len();
        } else if trimmed.starts_with('#') || trimmed.is_empty() {
            code.push('\n');
            before_comment = code.len();
        } else {
            if trimmed.starts_with("/*") {
                before_comment = code.len();
            }
            code.push_str(line);
            code.push('\n');
            if trimmed.ends_with(';') {
                before_comment = code.len();
            }
        }
    }
    (defines, code)
}

/// Splits code at a terminator outside of brackets. A comment belongs to the piece whose line it ends, or to the one that
/// starts on the very next line.
fn pieces(code: &str, terminator: char) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    let mut piece = Piece::default();
    let mut depth = 0;
    // No line break since the last terminator.
    let mut same_line = false;
    let mut rest = code;
    while let Some(char) = rest.chars().next() {
        let blank = piece.text.trim().is_empty();
        if depth == 0 && rest.starts_with("/*") {
            let end = rest.find("*/").expect("a comment that ends");
            let comment = plain_comment(&rest[..end]);
            rest = &rest[end + 2..];
            match all.last_mut() {
                Some(last) if blank && same_line => last.comment = comment,
                // Behind the last value of an enum, which has no comma.
                _ if !blank => piece.comment = comment,
                _ if rest.starts_with("\n\n") => {}
                _ => piece.comment = comment,
            }
            continue;
        }
        rest = &rest[char.len_utf8()..];
        match char {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            '\n' => same_line = false,
            _ => {}
        }
        if char == terminator && depth == 0 {
            all.push(std::mem::take(&mut piece));
            same_line = true;
        } else {
            piece.text.push(char);
        }
    }
    if !piece.text.trim().is_empty() {
        all.push(piece);
    }
    all
}

fn item(piece: Piece) -> Item {
    let text = piece.text.trim();
    let comment = piece.comment;
    if let (Some(open), Some(close)) = (text.find('{'), text.rfind('}')) {
        let (before, body, behind) = (text[..open].trim(), &text[open + 1..close], text[close + 1..].trim());
        if before.starts_with("enum") || before.starts_with("typedef enum") {
            let values = members(body, ',');
            let first = values.first().map(|value| value.text.as_str()).unwrap_or_default();
            let name = first.split(' ').next().unwrap_or_default().to_owned();
            return Item {
                name,
                comment,
                kind: Kind::Enum { values },
            };
        }
        assert!(before.starts_with("typedef struct"), "what is this? {text}");
        return Item {
            name: behind.to_owned(),
            comment,
            kind: Kind::Struct {
                fields: members(body, ';'),
            },
        };
    }
    let declaration = uniform(text.strip_prefix("POND_API").unwrap_or(text));
    let kind = if declaration.starts_with("typedef") {
        Kind::Typedef {
            declaration: declaration.clone(),
        }
    } else {
        Kind::Function {
            declaration: declaration.clone(),
        }
    };
    // The name: in "typedef void (*name)(...)", "typedef struct x name", "int32_t name(...)".
    let head = match declaration.split_once("(*") {
        Some((_, name)) => name.split(')').next().unwrap_or_default(),
        None => declaration.split('(').next().unwrap_or_default(),
    };
    let name = head.rsplit([' ', '*']).next().unwrap_or_default().to_owned();
    Item { name, comment, kind }
}

fn members(body: &str, terminator: char) -> Vec<Member> {
    pieces(body, terminator)
        .into_iter()
        .map(|piece| Member {
            text: uniform(&piece.text),
            comment: piece.comment,
        })
        .collect()
}

/// One blank where there were some; none inside of parentheses.
fn uniform(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(").replace(" )", ")")
}

/// The text of a comment without its stars.
fn plain_comment(comment: &str) -> String {
    let comment = comment.trim().trim_start_matches("/*").trim_end_matches("*/");
    let lines = comment.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix('*').unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
