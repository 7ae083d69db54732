//! Reads Rust as far as the law needs it: words, marks and paths with their lines, without comments and texts.
//!
//! This is no parser: it knows comments, texts, braces, modules, `#[cfg(test)]` and use-trees, and resolves `crate`, `self`
//! and `super` to rooms. What a macro makes is not seen.

/// A word, mark or number of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// As written; `::` is one mark, a text is `""`.
    pub(crate) text: String,
    /// Does it belong to an item under `#[cfg(test)]`?
    pub(crate) in_test: bool,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// A path as used: `crate::domain::money` is `["crate", "domain", "money"]`, a lone word is a path of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedPath {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its words; the first is `crate` for all that lies in this crate.
    pub(crate) words: Vec<String>,
    /// Does it belong to an item under `#[cfg(test)]`?
    pub(crate) in_test: bool,
}

/// Cuts a source into tokens and marks those of tests.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = cut(text);
    mark_tests(&mut tokens);
    tokens
}

fn cut(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let (mut tokens, mut line, mut i) = (Vec::new(), 1, 0);
    let mut push = |line, text: String| tokens.push(Token { line, text, in_test: false });
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i = end_of_text(&chars, i);
                push(line, "\"\"".to_owned());
            }
            '\'' => {
                // A lifetime is a quote and a word without a second quote; all else is a character.
                let is_lifetime = (at(i + 1).is_alphabetic() || at(i + 1) == '_') && at(i + 2) != '\'';
                i += 1;
                while !is_lifetime && i < chars.len() && at(i) != '\'' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                if is_lifetime {
                    while at(i).is_alphanumeric() || at(i) == '_' {
                        i += 1;
                    }
                } else {
                    i += 1;
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = (i..).take_while(|index| at(*index) == '#').count();
                if matches!(&*word, "r" | "br" | "cr") && at(i + hashes) == '"' {
                    i = end_of_raw_text(&chars, i + hashes + 1, hashes);
                    push(line, "\"\"".to_owned());
                } else if matches!(&*word, "b" | "c") && at(i) == '"' {
                    i = end_of_text(&chars, i);
                    push(line, "\"\"".to_owned());
                } else {
                    push(line, word);
                }
            }
            c if c.is_ascii_digit() => {
                // Behind a dot it is a field of a field, `pair.0.1`, and no fraction.
                let is_field = start > 0 && at(start - 1) == '.';
                let is_fraction = |i: usize| !is_field && at(i) == '.' && at(i + 1).is_ascii_digit();
                while at(i).is_alphanumeric() || at(i) == '_' || is_fraction(i) {
                    i += 1;
                }
                push(line, chars[start..i].iter().collect());
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                push(line, "::".to_owned());
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    push(line, c.to_string());
                }
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The index behind the closing quote of the text that opens at `open`.
fn end_of_text(chars: &[char], open: usize) -> usize {
    let mut i = open + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn end_of_raw_text(chars: &[char], mut i: usize, hashes: usize) -> usize {
    let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
    while i < chars.len() && !closes(i) {
        i += 1;
    }
    i + 1 + hashes
}

/// Do the tokens from `index` on read like this?
pub(crate) fn reads(tokens: &[Token], index: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(n, word)| tokens.get(index + n).is_some_and(|token| token.text == *word))
}

/// Marks each item behind `#[cfg(test)]`: up to its closing brace, or its semicolon if that comes first.
fn mark_tests(tokens: &mut [Token]) {
    let mut index = 0;
    while index < tokens.len() {
        if !reads(tokens, index, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            index += 1;
            continue;
        }
        let mut depth = 0_usize;
        while let Some(token) = tokens.get_mut(index) {
            token.in_test = true;
            let ends = match &*token.text {
                "{" | "(" | "[" => {
                    depth += 1;
                    false
                }
                ")" | "]" => {
                    depth -= 1;
                    false
                }
                "}" => {
                    depth -= 1;
                    depth == 0
                }
                ";" => depth == 0,
                _ => false,
            };
            index += 1;
            if ends {
                break;
            }
        }
    }
}

/// Every path of a source whose file is the module `module` (`["engine", "input"]` for src/engine/input.rs). A path that begins
/// with `self` or `super` is resolved, where it can be, to one that begins with `crate`.
pub(crate) fn paths(tokens: &[Token], module: &[String]) -> Vec<UsedPath> {
    let mut found = Vec::new();
    // For each open brace: is it an inline module's, and which?
    let mut open: Vec<Option<String>> = Vec::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let mut here = module.to_vec();
        here.extend(open.iter().flatten().cloned());
        match &*token.text {
            "mod" if reads(tokens, index + 2, &["{"]) => {
                open.push(Some(tokens[index + 1].text.clone()));
                index += 3;
            }
            "{" => {
                open.push(None);
                index += 1;
            }
            "}" => {
                open.pop();
                index += 1;
            }
            // `impl Trait + use<'a>` captures, it imports nothing.
            "use" if reads(tokens, index + 1, &["<"]) => index += 2,
            "use" => index = use_tree(tokens, index + 1, &[], &here, &mut found),
            _ if token.is_word() => {
                let mut words = vec![token.text.clone()];
                while reads(tokens, index + 1, &["::"]) && tokens.get(index + 2).is_some_and(Token::is_word) {
                    words.push(tokens[index + 2].text.clone());
                    index += 2;
                }
                found.push(UsedPath {
                    line: token.line,
                    words: resolved(words, &here),
                    in_test: token.in_test,
                });
                index += 1;
            }
            _ => index += 1,
        }
    }
    found
}

/// Walks one branch of a use-tree and gives the index behind it.
fn use_tree(
    tokens: &[Token],
    mut index: usize,
    prefix: &[String],
    here: &[String],
    found: &mut Vec<UsedPath>,
) -> usize {
    let mut words = prefix.to_vec();
    while let Some(token) = tokens.get(index) {
        match &*token.text {
            "{" => {
                index += 1;
                while tokens.get(index).is_some_and(|token| token.text != "}") {
                    index = use_tree(tokens, index, &words, here, found);
                    index += usize::from(reads(tokens, index, &[","]));
                }
                return index + 1;
            }
            "as" => index += 2,
            "::" => index += 1,
            "," | "}" | ";" => break,
            // `money::{self}` is `money`.
            "self" if !prefix.is_empty() => index += 1,
            _ => {
                words.push(token.text.clone());
                index += 1;
            }
        }
    }
    if let Some(token) = tokens.get(index.saturating_sub(1)).filter(|_| !words.is_empty()) {
        found.push(UsedPath { line: token.line, words: resolved(words, here), in_test: token.in_test });
    }
    index
}

fn resolved(words: Vec<String>, here: &[String]) -> Vec<String> {
    let mut module = here.to_vec();
    let mut rest = &words[..];
    match words.first().map(String::as_str) {
        Some("self") if words.len() > 1 => rest = &rest[1..],
        Some("super") => {
            while rest.first().is_some_and(|word| word == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        _ => return words,
    }
    ["crate".to_owned()].into_iter().chain(module).chain(rest.iter().cloned()).collect()
}
