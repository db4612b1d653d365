//! The list of the acceptance groups in `README.md` is true: each group has tests, and each of them
//! exists and runs on every runtime.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The tests of each group: file and name.
fn groups(readme: &str) -> BTreeMap<usize, Vec<(String, String)>> {
    let mut groups = BTreeMap::<usize, Vec<_>>::new();
    let (_, list) = readme.split_once("\n## Acceptance\n").expect("a section on acceptance");
    for line in list.lines() {
        if let Some((number, _)) = line.split_once(". ") {
            if let Ok(number) = number.parse() {
                assert!(groups.insert(number, Vec::new()).is_none(), "group {number} twice");
            }
        }
        if let Some(tests) = line.trim_start().strip_prefix("- `") {
            let (file, tests) = tests.split_once("`: ").expect("a file and its tests");
            let mut group = groups.last_entry().expect("a group before its tests");
            for test in tests.split(", ") {
                group.get_mut().push((file.to_owned(), test.trim_matches('`').to_owned()));
            }
        }
    }
    groups
}

#[test]
fn each_group_has_tests_that_run_on_every_runtime() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let groups = groups(&fs::read_to_string(folder.join("README.md")).expect("the list"));
    assert_eq!(groups.keys().copied().collect::<Vec<_>>(), (1..=23).collect::<Vec<_>>());
    for (number, tests) in &groups {
        assert!(!tests.is_empty(), "group {number} has no test");
        for (file, test) in tests {
            let source = fs::read_to_string(folder.join("tests").join(file))
                .unwrap_or_else(|error| panic!("group {number}: {file}: {error}"));
            if file == "acceptance_memory.rs" {
                // One test for all of them, since it counts what the whole process holds.
                let runtimes = ["Smol", "AsyncStd", "Tokio"].map(|it| format!("is_flat({it})"));
                assert!(source.contains(&format!("fn {test}()")), "group {number}: no {test}");
                assert!(runtimes.iter().all(|it| source.contains(it)), "not on every runtime");
                continue;
            }
            let (_, listed) = source.rsplit_once("on_every_runtime!(").unwrap_or_default();
            assert!(
                listed.lines().any(|line| line.trim().trim_end_matches(',') == test),
                "group {number}: {file} runs no {test} on every runtime"
            );
        }
    }
}

#[test]
fn each_file_of_tests_is_part_of_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
    let (all, manifest) = (read("tests/all.rs"), read("Cargo.toml"));
    let files = fs::read_dir(folder.join("tests")).expect("the folder of tests");
    let mut found = 0;
    for file in files.map(|file| file.expect("a file").file_name()) {
        let file = file.to_str().expect("names are text");
        let Some(name) = file.strip_suffix(".rs") else { continue };
        let here = all.lines().any(|line| line == format!("mod {name};"));
        let alone = manifest.contains(&format!("path = \"tests/{file}\""));
        assert!(here != alone, "{file} is in one program");
        found += 1;
    }
    assert!(found > 40, "{found} files");
}
