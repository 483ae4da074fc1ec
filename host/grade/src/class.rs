//! A class: many programs, their commands in one file, their results in one folder.

use core::fmt;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::report::replace;
use crate::template::{Template, TemplateError};

/// The programs of a class.
#[derive(Clone, Debug)]
pub struct Class {
    folder: PathBuf,
    /// The programs, by name.
    pub entrants: Vec<Entrant>,
}

/// One program of a class.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The command that starts it.
    pub command: Template,
    /// Where it runs: the folder of its name, if there is one, or else the class's.
    pub folder: PathBuf,
}

/// Why a folder is no class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassError(String);

impl fmt::Display for ClassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ClassError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    programs: BTreeMap<String, Words>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

/// The file of commands in a class's folder.
const FILE: &str = "class.toml";

/// The folder of results in a class's folder.
const RESULTS: &str = "results";

impl Class {
    /// Reads `FOLDER/class.toml`: a table `[programs]` of commands by name.
    ///
    /// # Errors
    ///
    /// [`ClassError`] if it cannot be read, has another form, or holds a name or command that is
    /// none.
    pub fn read(folder: &Path) -> Result<Self, ClassError> {
        let path = folder.join(FILE);
        let here = |why: &dyn fmt::Display| ClassError(format!("{}: {why}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| here(&error))?;
        let file: File = toml::from_str(&text).map_err(|error| here(&error))?;
        let folder = folder.canonicalize().map_err(|error| here(&error))?;
        let entrants = file.programs.into_iter().map(|(name, words)| {
            if !is_name(&name) {
                return Err(here(&format!("{name:?} is no name for a file")));
            }
            let words: Vec<String> = match words {
                Words::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
                Words::List(words) => words,
            };
            let command = Template::new(words)
                .map_err(|error: TemplateError| here(&format!("{name}: {error}")))?;
            let own = folder.join(&name);
            let folder = if own.is_dir() { own } else { folder.clone() };
            Ok(Entrant {
                name,
                command,
                folder,
            })
        });
        let entrants: Vec<Entrant> = entrants.collect::<Result<_, _>>()?;
        Ok(Self { folder, entrants })
    }

    /// Where results go.
    pub fn results(&self) -> PathBuf {
        self.folder.join(RESULTS)
    }

    /// Where the JSON report of a program goes.
    pub fn report(&self, entrant: &Entrant) -> PathBuf {
        self.results().join(format!("{}.json", entrant.name))
    }

    /// The finished result of a program, if there is one of this very command.
    pub fn finished(&self, entrant: &Entrant) -> Option<Earlier> {
        let path = self.report(entrant);
        let kept = [path.clone(), path.with_extension("txt")].map(|path| {
            let bytes = fs::read(&path).ok();
            (path, bytes)
        });
        let text = kept[0].1.as_deref()?;
        let report: serde_json::Value = serde_json::from_slice(text).ok()?;
        let same = report["command"] == serde_json::json!(entrant.command.words())
            && report["version"] == env!("CARGO_PKG_VERSION")
            && report["finished"] == true;
        same.then_some(Earlier { report, kept })
    }
}

/// The finished result of an earlier run.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The JSON report.
    pub report: serde_json::Value,
    /// Its files as they were found; `None`: not there.
    kept: [(PathBuf, Option<Vec<u8>>); 2],
}

impl Earlier {
    /// Writes those of its files again that are not as they were found, and returns which.
    ///
    /// # Errors
    ///
    /// Whatever the system has against it.
    pub fn restore(&self) -> io::Result<Vec<PathBuf>> {
        let mut restored = Vec::new();
        for (path, kept) in &self.kept {
            if fs::read(path).ok() == *kept {
                continue;
            }
            match kept {
                Some(bytes) => replace(path, bytes)?,
                None => fs::remove_file(path)?,
            }
            restored.push(path.clone());
        }
        Ok(restored)
    }
}

fn is_name(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    !name.starts_with('.') && name.chars().all(fits) && !name.is_empty() && name != RESULTS
}
