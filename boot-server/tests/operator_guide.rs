//! `docs/boot-server.md`: each configuration in it is one, and each command line is understood. `docs/terraform.md`: each
//! configuration is one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use boot_server::config::Config;

fn blocks(language: &str) -> Vec<String> {
    blocks_of("boot-server.md", language)
}

fn blocks_of(guide: &str, language: &str) -> Vec<String> {
    let path = format!("{}/../docs/{guide}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    let blocks = text.split(&begin).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_configuration_of_the_guide_is_without_problems() {
    let (blocks, of_terraform) = (blocks("toml"), blocks_of("terraform.md", "toml"));
    assert!(blocks.len() >= 7, "{}", blocks.len());
    assert_eq!(of_terraform.len(), 1);
    for block in blocks.into_iter().chain(of_terraform) {
        let config: Config =
            toml::from_str(&block).unwrap_or_else(|error| panic!("{block}{error}"));
        assert_eq!(config.check(), [], "{block}");
    }
}

#[test]
fn every_command_line_of_the_guide_gets_as_far_as_its_data_directory() {
    let lines: Vec<String> = blocks("sh")
        .iter()
        .flat_map(|b| b.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(lines.len() >= 2);
    let folder = tempfile::tempdir().unwrap();
    for line in lines {
        let words = line.split_whitespace().skip(1);
        let words = words.map(|word| word.replace("/var/lib", "none"));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_boot-server"))
            .args(words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(
            said.contains("cannot be read: No such file") || said.contains("folder not found"),
            "{line}: {said}"
        );
    }
}

#[test]
fn every_key_of_the_configuration_is_in_the_guide() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/boot-server.md");
    let text = std::fs::read_to_string(path).unwrap();
    let top = toml::Value::try_from(Config::default()).unwrap();
    let http = "[dhcp]\nsubnet = \"10.0.0.0/24\"\nfirst = \"10.0.0.2\"\nlast = \"10.0.0.3\"\n\
         [http]\ndata = \"d\"\n[pixiecore]\n[proxy_dhcp]\n[metrics]\nlisten = \"127.0.0.1:1\"\n";
    let all = toml::Value::try_from(toml::from_str::<Config>(http).unwrap()).unwrap();
    let tables = [&top, &all].map(|value| value.as_table().unwrap().clone());
    let names =
        |key: &str| text.contains(&format!("`{key}`")) || text.contains(&format!(".{key}`"));
    for (key, value) in tables.into_iter().flatten() {
        assert!(text.contains(&key), "{key}");
        let elsewhere = ["pool", "reservation"];
        for inner in value.as_table().into_iter().flat_map(|table| table.keys()) {
            // The whole of [boot]'s NBPs stands with DHCP's own documentation.
            let told = names(inner) || key == "boot" || elsewhere.contains(&inner.as_str());
            assert!(told, "{key}.{inner}");
        }
    }
}
