//! Everything that the fuzzers ever found worth keeping, run once more.

use std::fs;
use std::path::{Path, PathBuf};

use poolwarden_tests::fuzz::{Answers, policy_file};

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut all: Vec<(PathBuf, Vec<u8>)> = files
        .map(|file| file.expect("the corpus is readable").path())
        .map(|path| (path.clone(), fs::read(path).expect("the corpus is readable")))
        .collect();
    all.sort();
    assert!(all.len() >= 20, "{folder:?} has only {} files", all.len());
    all
}

#[test]
fn every_answer_of_the_corpus_is_refused_or_sound() {
    let answers = Answers::default();
    for (path, bytes) in corpus("answer") {
        println!("{}", path.display());
        answers.try_one(&bytes);
    }
}

#[test]
fn every_policy_file_of_the_corpus_is_refused_or_sound() {
    for (path, bytes) in corpus("policy_file") {
        println!("{}", path.display());
        policy_file(&bytes);
    }
}
