//! The decisions one by one, and the proof that no sequence loops.

use std::time::Duration;

use boot_server_proto::dhcp::MessageType;
use proptest::prelude::*;

use super::*;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SCRIPT: &str = "http://10.0.0.1:8080/boot.ipxe";

fn client(loader: Loader, arch: u16) -> Client {
    Client {
        mac: MAC,
        message: MessageType::Discover,
        uuid: None,
        machine_id: None,
        broken_machine_id: false,
        http_boot: loader == Loader::Firmware && ClientArch::from_wire(arch).is_http(),
        raspberry_pi: loader == Loader::Firmware && arch == 41,
        arch: vec![ClientArch::from_wire(arch)],
        loader,
        bare_ipxe_class: loader == Loader::Ipxe,
        wants_boot: true,
    }
}

fn policy(change: impl FnOnce(&mut BootConfig)) -> Policy {
    let mut boot = BootConfig::default();
    change(&mut boot);
    Policy::boot(SERVER, boot, Some(SCRIPT.into()))
}

fn decide(policy: &mut Policy, client: &Client, xid: u32) -> BootAction {
    policy.decide(client, xid, Instant::now()).action
}

#[test]
fn firmware_is_sent_to_the_nbp_of_its_architecture() {
    let mut policy = policy(|_| ());
    for (arch, nbp) in [(0, "undionly.kpxe"), (7, "ipxe.efi"), (9, "ipxe.efi")] {
        assert_eq!(
            decide(&mut policy, &client(Loader::Firmware, arch), 1),
            BootAction::Nbp(nbp.into())
        );
    }
    for arch in [6, 10, 11, 16, 999] {
        assert_eq!(
            decide(&mut policy, &client(Loader::Firmware, arch), 1),
            BootAction::Nothing
        );
    }
}

#[test]
fn decide_shim_is_one_file_by_tftp_and_by_http_for_each_processor() {
    let shim = |boot: &mut BootConfig| {
        boot.efi_x64_nbp = SHIM.into();
        boot.efi_arm64_nbp = Some(SHIM.into());
    };
    let mut policy = policy(shim).with_nbp_url(Some("http://10.0.0.1:8080/nbp/".into()));
    for (arch, file) in [(7, "bootx64.efi"), (9, "bootx64.efi"), (11, "bootaa64.efi")] {
        let nbp = BootAction::Nbp(format!("secureboot/{file}"));
        let client = client(Loader::Firmware, arch);
        assert_eq!(decide(&mut policy, &client, 1), nbp, "{arch}");
    }
    for (arch, file) in [(16, "bootx64.efi"), (19, "bootaa64.efi")] {
        let nbp = BootAction::HttpNbp(format!("http://10.0.0.1:8080/nbp/secureboot/{file}"));
        let client = client(Loader::Firmware, arch);
        assert_eq!(decide(&mut policy, &client, 1), nbp, "{arch}");
    }
}

/// U-Boot runs UEFI programs, and says 21 to 24 (siderolabs/booter#12).
#[test]
fn decide_u_boot_is_sent_to_the_uefi_nbp_of_its_processor() {
    let mut policy = policy(|boot| {
        boot.efi_arm32_nbp = Some("arm32.efi".into());
        boot.efi_arm64_nbp = Some("arm64.efi".into());
    })
    .with_nbp_url(Some("http://10.0.0.1/nbp/".into()));
    let nbp = |file: &str| BootAction::Nbp(file.into());
    let http = |file: &str| BootAction::HttpNbp(format!("http://10.0.0.1/nbp/{file}"));
    for (arch, action) in [
        (21, nbp("arm32.efi")),
        (22, nbp("arm64.efi")),
        (23, http("arm32.efi")),
        (24, http("arm64.efi")),
    ] {
        let client = client(Loader::Firmware, arch);
        assert_eq!(decide(&mut policy, &client, 1), action, "{arch}");
    }
}

#[test]
fn the_first_architecture_of_a_list_that_has_an_nbp_counts() {
    let mut both = client(Loader::Firmware, 12);
    both.arch.push(ClientArch::EfiX64);
    assert_eq!(
        decide(&mut policy(|_| ()), &both, 1),
        BootAction::Nbp("ipxe.efi".into())
    );
}

#[test]
fn ipxe_is_sent_to_the_script_at_once_unless_it_is_to_be_chainloaded() {
    for arch in [0, 7] {
        assert_eq!(
            decide(&mut policy(|_| ()), &client(Loader::Ipxe, arch), 1),
            BootAction::Script(SCRIPT.into())
        );
    }
}

#[test]
fn an_ipxe_rom_is_chainloaded_exactly_once() {
    let mut policy = policy(|boot| boot.chainload_ipxe = true);
    let rom = client(Loader::Ipxe, 0);
    let nbp = BootAction::Nbp("undionly.kpxe".into());
    assert_eq!(decide(&mut policy, &rom, 1), nbp, "discover");
    assert_eq!(decide(&mut policy, &rom, 1), nbp, "request");
    policy.file_fetched(Some(MAC), "undionly.kpxe", Instant::now());
    for xid in 2..10 {
        assert_eq!(
            decide(&mut policy, &rom, xid),
            BootAction::Script(SCRIPT.into())
        );
    }
}

#[test]
fn another_file_or_another_machines_fetch_does_not_count_as_chainloaded() {
    let mut policy = policy(|boot| boot.chainload_ipxe = true);
    let rom = client(Loader::Ipxe, 0);
    policy.file_fetched(Some(MAC), "ldlinux.c32", Instant::now());
    policy.file_fetched(Some(MacAddr([2; 6])), "undionly.kpxe", Instant::now());
    policy.file_fetched(None, "undionly.kpxe", Instant::now());
    assert_eq!(
        decide(&mut policy, &rom, 1),
        BootAction::Nbp("undionly.kpxe".into())
    );
}

#[test]
fn with_pxelinux_bios_ipxe_gets_pxelinux_and_uefi_ipxe_the_script() {
    let mut policy = policy(|boot| boot.bios = BiosLoader::Pxelinux);
    let pxelinux = BootAction::Nbp("pxelinux.0".into());
    assert_eq!(
        decide(&mut policy, &client(Loader::Firmware, 0), 1),
        pxelinux
    );
    assert_eq!(decide(&mut policy, &client(Loader::Ipxe, 0), 1), pxelinux);
    assert_eq!(
        decide(&mut policy, &client(Loader::Ipxe, 7), 1),
        BootAction::Script(SCRIPT.into())
    );
}

#[test]
fn an_operating_systems_dhcp_client_boots_nothing() {
    let mut system = client(Loader::Firmware, 0);
    system.arch.clear();
    system.wants_boot = false;
    assert_eq!(decide(&mut policy(|_| ()), &system, 1), BootAction::Nothing);
}

#[test]
fn debians_ipxe_does_not_chain_for_ever_in_pixiecore_mode() {
    let mut policy = Policy::pixiecore(SERVER, BootConfig::default(), 80);
    let ipxe = client(Loader::Ipxe, 0);
    assert_eq!(
        decide(&mut policy, &ipxe, 1),
        BootAction::NbpUrl("tftp://10.0.0.1/52:54:00:00:00:01/4".into())
    );
    policy.file_fetched(None, "52:54:00:00:00:01/4", Instant::now());
    assert_eq!(
        decide(&mut policy, &ipxe, 2),
        BootAction::Script("http://10.0.0.1:80/_/ipxe?arch=0&mac=52:54:00:00:00:01".into())
    );
}

#[test]
fn pixiecore_paths_name_the_nbps_and_nothing_else() {
    let policy = Policy::pixiecore(SERVER, BootConfig::default(), 80);
    for (path, file) in [
        ("52:54:00:00:00:01/0", Some("undionly.kpxe")),
        ("52-54-00-00-00-01/0", Some("undionly.kpxe")),
        ("52:54:00:00:00:01/3", Some("ipxe.efi")),
        ("52:54:00:00:00:01/4", Some("ipxe.pxe")),
        ("52:54:00:00:00:01/9", None),
        ("52:54:00:00:00:01/04", None),
        ("/52:54:00:00:00:01/0", None),
        ("undionly.kpxe", None),
    ] {
        assert_eq!(policy.pixiecore_file(path), file, "{path}");
    }
}

#[derive(Debug, Clone)]
enum Move {
    /// A client asks and, if sent to an NBP, may fetch it from us, from elsewhere, or not at all.
    Ask {
        loader: Loader,
        arch: u16,
        fetch: bool,
        seen: bool,
    },
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let ask = (
        prop::sample::select(vec![Loader::Firmware, Loader::Ipxe, Loader::PixiecoreIpxe]),
        prop::sample::select(vec![0u16, 6, 7, 9, 10, 11, 15, 16, 19, 25, 27, 28, 41, 99]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(loader, arch, fetch, seen)| Move::Ask {
            loader,
            arch,
            fetch,
            seen,
        });
    proptest::collection::vec(
        prop_oneof![8 => ask, 1 => (0u64..200).prop_map(Move::Wait)],
        1..120,
    )
}

proptest! {
    /// However firmware and iPXE of one machine follow each other, within any time in which it does
    /// not fall silent for [`CHAIN_MEMORY`] iPXE is sent to an NBP at most a bounded number of times.
    #[test]
    fn no_sequence_of_clients_is_chainloaded_without_end(
        moves in moves(),
        pixiecore in any::<bool>(),
    ) {
        let boot = BootConfig {
            chainload_ipxe: true,
            efi_ia32_nbp: Some("ia32.efi".into()),
            efi_arm64_nbp: Some("arm64.efi".into()),
            ..BootConfig::default()
        };
        let mut policy = if pixiecore {
            Policy::pixiecore(SERVER, boot, 80)
        } else {
            Policy::boot(SERVER, boot, Some(SCRIPT.into())).with_nbp_url(Some("http://n/".into()))
        };
        let mut now = Instant::now();
        let mut sent = 0;
        let mut silent = 0;
        for (xid, step) in moves.into_iter().enumerate() {
            match step {
                Move::Wait(seconds) => {
                    let seconds = seconds.min(CHAIN_MEMORY.as_secs() - 1 - silent);
                    silent += seconds;
                    now += Duration::from_secs(seconds);
                }
                Move::Ask { loader, arch, fetch, seen } => {
                    let step = policy.decide(&client(loader, arch), xid as u32, now);
                    if loader == Loader::Ipxe && step.action != BootAction::Nothing {
                        silent = 0;
                    }
                    if loader != Loader::Firmware {
                        let by_firmware_only =
                            matches!(step.action, BootAction::HttpNbp(_) | BootAction::RaspberryPi(_));
                        prop_assert!(!by_firmware_only, "{step:?}");
                    }
                    let (BootAction::Nbp(_) | BootAction::NbpUrl(_) | BootAction::HttpNbp(_)) =
                        step.action
                    else {
                        continue;
                    };
                    sent += usize::from(loader == Loader::Ipxe);
                    let file = step.boot_file().unwrap();
                    let file = file.strip_prefix("tftp://10.0.0.1/").unwrap_or(file);
                    let file = file.strip_prefix("http://n/").unwrap_or(file);
                    if fetch && seen {
                        policy.file_fetched(Some(MAC), file, now);
                    }
                }
            }
        }
        prop_assert!(sent <= MAX_UNSEEN_FETCHES, "{sent}");
    }
}
