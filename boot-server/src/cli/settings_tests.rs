//! Tests of the flags' effect on a configuration, alone and over a file.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    settings: Settings,
}

fn applied(mut config: Config, flags: &str) -> Result<Config, String> {
    let words = std::iter::once("x").chain(flags.split_whitespace());
    let program = Program::try_parse_from(words).map_err(|error| error.to_string())?;
    let applied = program.settings.apply(&mut config);
    applied.map(|()| config).map_err(|error| error.to_string())
}

#[test]
fn bootcfgs_command_line_is_a_whole_configuration() {
    let flags = "--address=0.0.0.0:8081 --config=/d/config.yaml --data-path=/d --assets-path=/usr";
    let config = applied(Config::default(), flags).unwrap();
    let http = config.http.clone().unwrap();
    assert_eq!(http.listen, "0.0.0.0:8081".parse().unwrap());
    assert_eq!(http.data, Path::new("/d"));
    assert_eq!(http.config.as_deref(), Some(Path::new("/d/config.yaml")));
    assert_eq!(http.assets.as_deref(), Some(Path::new("/usr")));
    assert_eq!(http.images, None);
    assert_eq!(config.check(), []);
}

#[test]
fn an_empty_assets_path_means_none_and_a_bare_port_every_address() {
    let config = applied(
        Config::default(),
        "--data-path=/d --assets-path= --address=:80",
    );
    let http = config.unwrap().http.unwrap();
    assert_eq!(
        (http.assets, http.listen),
        (None, "0.0.0.0:80".parse().unwrap())
    );
}

#[test]
fn a_flag_beats_the_file_and_leaves_the_rest_of_it() {
    let file = "interface = \"a\"\n[http]\ndata = \"/file\"\nlisten = \"10.0.0.1:80\"\n";
    let config = applied(
        toml::from_str(file).unwrap(),
        "--interface b --data-path /flag",
    );
    let config = config.unwrap();
    let http = config.http.unwrap();
    assert_eq!(config.interface.as_deref(), Some("b"));
    assert_eq!(http.data, Path::new("/flag"));
    assert_eq!(http.listen, "10.0.0.1:80".parse().unwrap());
}

#[test]
fn a_pool_is_one_flag() {
    let flags = "--interface br0 --dhcp-range 172.17.0.43-172.17.0.99/24 --dhcp-router 172.17.0.1 \
                 --data-path /d";
    let config = applied(Config::default(), flags).unwrap();
    let dhcp = config.dhcp.clone().unwrap();
    assert_eq!(dhcp.subnet, "172.17.0.0/24".parse().unwrap());
    assert_eq!(dhcp.last, Ipv4Addr::new(172, 17, 0, 99));
    assert_eq!(dhcp.router, Some(Ipv4Addr::new(172, 17, 0, 1)));
    assert!(config.tftp.is_some());
    assert_eq!(config.check(), []);
}

#[test]
fn what_cannot_be_is_answered_with_what_can() {
    for (flags, says) in [
        (
            "--rpc-address=0.0.0.0 --data-path /d",
            "--rpc-address 0.0.0.0: missing port",
        ),
        ("--assets-path /a", "--data-path"),
        (
            "--assets-path /nothing/assets --data-path /d",
            "folder not found: --assets-path /nothing/assets",
        ),
        (
            "--images-path /etc/passwd --data-path /d",
            "folder not found: --images-path",
        ),
        ("--web-ssl --data-path /d", "--web-cert-file"),
        ("--address 8080 --data-path /d", "HOST:PORT"),
        ("--dhcp-router 10.0.0.1", "--dhcp-range"),
        ("--dhcp-range 10.0.0.1", "FIRST-LAST/PREFIX"),
        ("--log-level loud", "info"),
    ] {
        let error = applied(Config::default(), flags).unwrap_err();
        assert!(error.contains(says), "{flags}: {error}");
    }
}

#[test]
fn flags_without_an_effect_are_taken_as_matchbox_takes_them() {
    for flags in [
        "--rpc-address=",
        "--cert-file=/x --key-file=/y --ca-file=/z",
        "--web-cert-file= --web-key-file=",
        "--web-cert-file=/x",
        "--key-ring-path=",
    ] {
        let config = applied(Config::default(), &format!("--data-path /d {flags}"));
        let http = config.expect(flags).http.unwrap();
        assert_eq!((http.tls_certificate, http.key_ring), (None, None));
    }
}

#[test]
fn rpc_address_enables_grpc_with_the_paths_of_matchbox() {
    let rpc = |flags: &str| applied(Config::default(), flags).unwrap().rpc;
    assert_eq!(rpc("--data-path /d --cert-file=/x"), None);
    let defaults = rpc("--data-path /d --rpc-address=0.0.0.0:8081").unwrap();
    assert_eq!(defaults.listen, "0.0.0.0:8081".parse().unwrap());
    let paths = |rpc: RpcConfig| [rpc.client_ca, rpc.tls_certificate, rpc.tls_key];
    let expected = ["ca.crt", "server.crt", "server.key"];
    let expected = expected.map(|name| Path::new("/etc/matchbox").join(name));
    assert_eq!(paths(defaults), expected);
    let flags = "--data-path /d --rpc-address=:1 --ca-file /a --cert-file=/b --key-file=/c";
    let given = ["/a", "/b", "/c"].map(PathBuf::from);
    assert_eq!(paths(rpc(flags).unwrap()), given);
    // Certificates on the command line and the rest in the file.
    let config = Config {
        rpc: Some(RpcConfig::default()),
        ..Config::default()
    };
    let config = applied(config, "--data-path /d --ca-file /a").unwrap();
    assert_eq!(config.rpc.unwrap().client_ca, Path::new("/a"));
    let alone = applied(Config::default(), "--rpc-address=:8081").unwrap();
    assert!(
        alone
            .check()
            .iter()
            .any(|problem| problem.message == "[rpc] without [http]")
    );
}

#[test]
fn images_path_serves_the_images_and_the_assets_unless_those_are_elsewhere() {
    let served = |flags: &str| {
        let http = applied(Config::default(), flags).unwrap().http.unwrap();
        let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        (text(http.images), text(http.assets))
    };
    let both = (Some("/usr".to_owned()), Some("/usr".to_owned()));
    assert_eq!(served("--data-path /d --images-path=/usr"), both);
    let apart = (Some("/usr".to_owned()), Some("/etc".to_owned()));
    assert_eq!(
        served("--data-path /d --images-path=/usr --assets-path=/etc"),
        apart
    );
    assert_eq!(served("--data-path /d --images-path="), (None, None));
}

#[test]
fn log_level_takes_the_names_of_bootcfg_and_matchbox_in_any_case() {
    for (name, level) in [
        ("fatal", LogLevel::Error),
        ("panic", LogLevel::Error),
        ("CRITICAL", LogLevel::Error),
        ("E", LogLevel::Error),
        ("Warning", LogLevel::Warn),
        ("1", LogLevel::Warn),
        ("NOTICE", LogLevel::Info),
        ("info", LogLevel::Info),
        ("DEBUG", LogLevel::Debug),
        ("trace", LogLevel::Trace),
        ("T", LogLevel::Trace),
    ] {
        let config = applied(Config::default(), &format!("--log-level={name}")).unwrap();
        assert_eq!(config.log.level, level, "{name}");
    }
}
