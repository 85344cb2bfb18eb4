//! Libvirt domain XML of a node.
//!
//! The machine resembles a bare-metal server: SMBIOS UUID and serial number, a network card with a fixed MAC
//! that boots first (additional cards have no link), a serial console, and optional disks that nothing boots
//! from. UEFI machines have the card's ROM disabled, so that EDK2's own PXE client boots; BIOS machines use
//! QEMU's ROM, which is iPXE. virtio-rng is present because EDK2's network stack needs it (tianocore/edk2#9530).

mod shapes;

use std::path::{Path, PathBuf};

use lab_model::scenario::Firmware;
use shapes::{
    AddressXml, BackendXml, BiosXml, BootXml, ChannelXml, ControllerXml, CpuXml, DevicesXml,
    DiskTargetXml, DiskXml, DomainXml, DriverXml, EntryXml, FeaturesXml, FileXml,
    FirmwareFeatureXml, FirmwareXml, GraphicsXml, InterfaceXml, LinkXml, ListenXml, LoaderXml,
    LogXml, MacXml, MemoryXml, ModelNameXml, ModelXml, NetworkSourceXml, OsTypeXml, OsXml, PortXml,
    RngXml, RomXml, SerialXml, SmbiosXml, SmmXml, SocketXml, SysinfoXml, SystemXml, TargetXml,
    TcgXml, TypeXml, VideoXml,
};

use super::accel::Accelerator;
use super::mark::RunMark;
use super::network::indented;

/// Size of TCG's translation cache in MiB. QEMU's default of up to 1 GiB per machine would exhaust the memory.
const TCG_TB_CACHE_MIB: u32 = 256;

/// I/O port of OVMF's debug output (`OvmfPkg/README`).
const OVMF_DEBUG_PORT: &str = "0x402";

/// Name of the virtio-serial port to which a guest may write its journal.
const JOURNAL_PORT: &str = "lab.journal";

/// Network card with a link, from which a machine does not boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub mac: String,
    /// Name of the libvirt network.
    pub network: String,
}

/// Properties of a node's domain.
#[derive(Debug, Clone)]
pub struct DomainSpec<'a> {
    /// Name in libvirt.
    pub name: &'a str,
    /// UUID in SMBIOS and libvirt.
    pub uuid: &'a str,
    /// MAC of the network card that boots.
    pub mac: &'a str,
    /// Additional cards with a link.
    pub cards: &'a [Card],
    /// MACs of additional cards, which have no link.
    pub further_macs: &'a [String],
    /// SMBIOS serial number.
    pub serial: &'a str,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Disk images: `vda`, `vdb`, …
    pub disks: &'a [PathBuf],
    pub firmware: Firmware,
    pub accelerator: Accelerator,
    /// Name of the libvirt network.
    pub network: &'a str,
    /// Unix socket of the serial console.
    pub console: &'a Path,
    /// File to which QEMU logs the console, with or without a client.
    pub console_log: &'a Path,
    /// Unix socket of a second serial port with a shell for the checks, if the machine has one.
    pub check_console: Option<&'a Path>,
    /// Unix socket of the guest's journal, if the guest supports it.
    pub journal: &'a Path,
    /// Unix socket of the firmware's debug console, if enabled.
    pub debug_console: Option<&'a Path>,
    /// Unix socket of the VNC display, if enabled.
    pub display: Option<&'a Path>,
    /// Mark of the run, stored in the domain's metadata.
    pub mark: &'a RunMark,
    /// True if the machine has virtio-rng.
    pub has_rng: bool,
    /// True if the UEFI firmware enforces Secure Boot with Microsoft's keys.
    pub has_secure_boot: bool,
    /// File with the firmware's variables, if they differ from libvirt's template.
    pub variables: Option<&'a Path>,
    /// Code of the UEFI firmware, if it is not the host's; `variables` are then of the same firmware.
    pub code: Option<&'a Path>,
}

/// Renders the domain XML.
#[must_use]
pub fn render(spec: &DomainSpec<'_>) -> String {
    let uefi = spec.firmware.is_uefi();
    let kvm = spec.accelerator == Accelerator::Kvm;
    indented(&DomainXml {
        kind: if kvm { "kvm" } else { "qemu" },
        name: spec.name,
        uuid: spec.uuid,
        metadata: spec.mark.metadata(),
        memory: MemoryXml {
            unit: "MiB",
            amount: spec.memory_mib,
        },
        vcpu: 1,
        os: os(uefi, spec),
        sysinfo: sysinfo(spec),
        features: FeaturesXml {
            acpi: (),
            apic: (),
            // libvirt adds it by itself only to firmware that it chooses.
            smm: (spec.has_secure_boot && code(spec).is_some()).then_some(SmmXml { state: "on" }),
            tcg: (!kvm).then_some(TcgXml {
                tb_cache: MemoryXml {
                    unit: "MiB",
                    amount: TCG_TB_CACHE_MIB,
                },
            }),
        },
        cpu: kvm.then_some(CpuXml {
            mode: "host-passthrough",
        }),
        on_poweroff: "destroy",
        on_reboot: "restart",
        on_crash: "destroy",
        devices: devices(spec, uefi),
    })
}

fn sysinfo<'a>(spec: &DomainSpec<'a>) -> Vec<SysinfoXml<'a>> {
    let entry = |name, value| EntryXml { name, value };
    let mut sysinfo = vec![SysinfoXml {
        kind: "smbios",
        system: Some(SystemXml {
            entry: vec![entry("serial", spec.serial), entry("uuid", spec.uuid)],
        }),
        entry: Vec::new(),
    }];
    if spec.firmware == Firmware::UefiHttp {
        // OVMF tries PXE before HTTP boot unless disabled (`OvmfPkg/Library/PxeBcPcdProducerLib`).
        sysinfo.push(SysinfoXml {
            kind: "fwcfg",
            system: None,
            entry: vec![
                entry("opt/org.tianocore/IPv4PXESupport", "n"),
                entry("opt/org.tianocore/IPv6PXESupport", "n"),
            ],
        });
    }
    sysinfo
}

/// Returns the code of a package's UEFI firmware; a scenario that names one may have BIOS machines, too.
fn code<'a>(spec: &DomainSpec<'a>) -> Option<&'a Path> {
    spec.code.filter(|_| spec.firmware.is_uefi())
}

fn os<'a>(uefi: bool, spec: &DomainSpec<'a>) -> OsXml<'a> {
    let feature = |name, enabled| FirmwareFeatureXml { name, enabled };
    let code = code(spec);
    // By default libvirt chooses the Secure Boot build, which refuses unsigned iPXE.
    let features = match spec.has_secure_boot {
        false => vec![feature("secure-boot", "no")],
        true => vec![
            feature("secure-boot", "yes"),
            feature("enrolled-keys", "yes"),
        ],
    };
    OsXml {
        firmware: (uefi && code.is_none()).then_some("efi"),
        kind: OsTypeXml {
            arch: "x86_64",
            machine: "q35",
            kind: "hvm",
        },
        firmware_features: (uefi && code.is_none()).then_some(FirmwareXml { feature: features }),
        loader: code.map(|code| LoaderXml {
            readonly: "yes",
            secure: if spec.has_secure_boot { "yes" } else { "no" },
            kind: "pflash",
            code,
        }),
        nvram: spec.variables,
        bios: (!uefi).then_some(BiosXml { useserial: "yes" }),
        smbios: SmbiosXml { mode: "sysinfo" },
    }
}

/// Returns the serial ports, the console first, because it must be port 0.
fn serials<'a>(spec: &DomainSpec<'a>) -> Vec<SerialXml<'a>> {
    let on = |path| SerialXml {
        kind: "unix",
        source: SocketXml { mode: "bind", path },
        log: None,
        target: TargetXml {
            kind: "isa-serial",
            port: 0,
            model: ModelNameXml { name: "isa-serial" },
        },
        address: None,
    };
    let debug = spec.debug_console.map(|path| SerialXml {
        target: TargetXml {
            kind: "isa-debug",
            port: 1 + u8::from(spec.check_console.is_some()),
            model: ModelNameXml {
                name: "isa-debugcon",
            },
        },
        address: Some(AddressXml {
            kind: "isa",
            iobase: OVMF_DEBUG_PORT,
        }),
        ..on(path)
    });
    let console = SerialXml {
        log: Some(LogXml {
            file: spec.console_log,
            append: "on",
        }),
        ..on(spec.console)
    };
    let checks = spec.check_console.map(|path| SerialXml {
        target: TargetXml {
            port: 1,
            ..on(path).target
        },
        ..on(path)
    });
    [Some(console), checks, debug]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the network cards: the boot card, then additional cards without ROM, with and without link.
fn interfaces<'a>(spec: &DomainSpec<'a>, uefi: bool) -> Vec<InterfaceXml<'a>> {
    let card = |address: &'a str, network: &'a str, has_link: bool| InterfaceXml {
        kind: "network",
        mac: MacXml { address },
        source: NetworkSourceXml { network },
        model: TypeXml { kind: "virtio" },
        rom: Some(RomXml { enabled: "no" }),
        link: (!has_link).then_some(LinkXml { state: "down" }),
        boot: None,
    };
    let boots = InterfaceXml {
        rom: uefi.then_some(RomXml { enabled: "no" }),
        boot: Some(BootXml { order: 1 }),
        ..card(spec.mac, spec.network, true)
    };
    let cards = spec.cards.iter();
    let linked = cards.map(|other| card(&other.mac, &other.network, true));
    let further = spec.further_macs.iter();
    let further = further.map(|mac| card(mac, spec.network, false));
    [boots].into_iter().chain(linked).chain(further).collect()
}

/// Returns the disks, without a boot order, so that firmware never boots from them (`-boot strict=on`).
fn disks<'a>(spec: &DomainSpec<'a>) -> Vec<DiskXml<'a>> {
    let named = |(letter, file): (char, &'a PathBuf)| DiskXml {
        kind: "file",
        device: "disk",
        driver: DriverXml {
            name: "qemu",
            kind: "raw",
            discard: "unmap",
        },
        source: FileXml { file },
        target: DiskTargetXml {
            dev: format!("vd{letter}"),
            bus: "virtio",
        },
        serial: disk_serial(spec.serial, letter),
    };
    ('a'..='z').zip(spec.disks).map(named).collect()
}

/// Returns a disk's serial number: the machine's, with the disk's letter, in virtio's limit of 20 bytes
/// (`VIRTIO_BLK_ID_BYTES`).
fn disk_serial(machine: &str, letter: char) -> String {
    let fit = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let machine: String = machine.chars().filter(fit).take(16).collect();
    format!("{machine}-vd{letter}")
}

fn devices<'a>(spec: &DomainSpec<'a>, uefi: bool) -> DevicesXml<'a> {
    DevicesXml {
        controller: ControllerXml {
            kind: "usb",
            model: "none",
        },
        disk: disks(spec),
        interface: interfaces(spec, uefi),
        serial: serials(spec),
        channel: ChannelXml {
            kind: "unix",
            source: SocketXml {
                mode: "bind",
                path: spec.journal,
            },
            target: PortXml {
                kind: "virtio",
                name: JOURNAL_PORT,
            },
        },
        graphics: spec.display.map(|socket| GraphicsXml {
            kind: "vnc",
            listen: ListenXml {
                kind: "socket",
                socket,
            },
        }),
        video: spec.display.map(|_| VideoXml {
            model: TypeXml { kind: "vga" },
        }),
        memballoon: ModelXml { model: "none" },
        rng: spec.has_rng.then_some(RngXml {
            model: "virtio",
            backend: BackendXml {
                model: "random",
                path: "/dev/urandom",
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn spec(firmware: Firmware, accelerator: Accelerator) -> DomainSpec<'static> {
        static MARK: LazyLock<RunMark> = LazyLock::new(|| RunMark {
            run_id: "4f2a11".into(),
            host_id: None,
        });
        DomainSpec {
            name: "lab-4f2a11-node1",
            uuid: "16e7d8a7-bfa9-428b-9117-363341bb330b",
            mac: "52:54:00:a1:9c:ae",
            cards: &[],
            further_macs: &[],
            serial: "node1",
            memory_mib: 1024,
            disks: &[],
            firmware,
            accelerator,
            network: "lab-4f2a11-net",
            console: Path::new("/run/lab/node1.console"),
            console_log: Path::new("/runs/x/nodes/node1/console.log"),
            check_console: None,
            journal: Path::new("/run/lab/node1.journal"),
            debug_console: None,
            display: None,
            mark: &MARK,
            has_rng: true,
            has_secure_boot: false,
            variables: None,
            code: None,
        }
    }

    #[test]
    fn a_bios_machine_boots_from_qemus_ipxe_rom() {
        insta::assert_snapshot!(render(&spec(Firmware::Bios, Accelerator::Tcg)));
    }

    #[test]
    fn code_of_uefi_firmware_is_only_for_uefi_machines() {
        let with_code = |firmware| {
            let code = Some(Path::new("/cache/OVMF_CODE_4M.fd"));
            let spec = spec(firmware, Accelerator::Tcg);
            render(&DomainSpec { code, ..spec })
        };
        let bios = render(&spec(Firmware::Bios, Accelerator::Tcg));
        assert_eq!(with_code(Firmware::Bios), bios);
        let uefi = with_code(Firmware::Uefi);
        let loader = "<loader readonly=\"yes\" secure=\"no\" type=\"pflash\">/cache/OVMF_CODE_4M.fd</loader>";
        assert!(uefi.lines().any(|line| line.trim() == loader), "{uefi}");
    }

    #[test]
    fn the_firmwares_debug_console_is_a_second_serial_device() {
        let xml = render(&DomainSpec {
            debug_console: Some(Path::new("/run/lab/node1.firmware")),
            ..spec(Firmware::Uefi, Accelerator::Tcg)
        });
        let serials = xml.split_once("<serial").unwrap().1;
        insta::assert_snapshot!(serials.split_once("<memballoon").unwrap().0);
    }

    #[test]
    fn check_console_is_the_second_port_before_the_debug_console() {
        let xml = render(&DomainSpec {
            check_console: Some(Path::new("/run/lab/node1.checks")),
            debug_console: Some(Path::new("/run/lab/node1.firmware")),
            ..spec(Firmware::Uefi, Accelerator::Tcg)
        });
        let serials = xml.split_once("<serial").unwrap().1;
        insta::assert_snapshot!(serials.split_once("<channel").unwrap().0);
    }

    #[test]
    fn card_of_another_network_has_a_link_and_no_boot_order() {
        let card = Card {
            mac: "52:54:00:a1:9c:af".into(),
            network: "lab-4f2a11-n1".into(),
        };
        let xml = render(&DomainSpec {
            cards: &[card],
            ..spec(Firmware::Bios, Accelerator::Tcg)
        });
        let cards: Vec<&str> = xml.split("<interface").skip(1).collect();
        assert!(cards[0].contains("<boot order=\"1\"/>"), "{xml}");
        assert!(cards[1].contains("network=\"lab-4f2a11-n1\""), "{xml}");
        assert!(
            !cards[1].contains("<boot") && !cards[1].contains("<link"),
            "{xml}"
        );
    }

    #[test]
    fn further_cards_neither_boot_nor_have_a_link() {
        let macs = ["52:54:00:a1:9c:af".to_owned()];
        let xml = render(&DomainSpec {
            further_macs: &macs,
            ..spec(Firmware::Bios, Accelerator::Tcg)
        });
        let cards: Vec<&str> = xml.split("<interface").skip(1).collect();
        assert_eq!(cards.len(), 2, "{xml}");
        assert!(cards[0].contains("<boot order=\"1\"/>") && !cards[0].contains("<link"));
        assert!(cards[1].contains("52:54:00:a1:9c:af"));
        assert!(cards[1].contains("<link state=\"down\"/>"), "{xml}");
        assert!(cards[1].contains("<rom enabled=\"no\"/>") && !cards[1].contains("<boot"));
    }

    #[test]
    fn disks_are_files_that_nothing_boots_from() {
        let disks = ["/run/lab/node1.vda", "/run/lab/node1.vdb"].map(PathBuf::from);
        let xml = render(&DomainSpec {
            disks: &disks,
            ..spec(Firmware::Uefi, Accelerator::Tcg)
        });
        let (_, from_disks) = xml.split_once("<disk").unwrap();
        insta::assert_snapshot!(from_disks.split_once("<interface").unwrap().0);
    }

    #[test]
    fn a_disks_serial_number_fits_virtio() {
        assert_eq!(disk_serial("node1", 'a'), "node1-vda");
        let long = disk_serial("CZ 20220A1B/99-with-more", 'b');
        assert_eq!((long.as_str(), long.len()), ("CZ20220A1B99-wit-vdb", 20));
    }

    #[test]
    fn only_a_machine_with_a_display_has_a_video_device() {
        let without = spec(Firmware::Uefi, Accelerator::Tcg);
        assert!(!render(&without).contains("<video>"));
        let xml = render(&DomainSpec {
            display: Some(Path::new("/run/lab/node1.vnc")),
            ..without
        });
        assert!(xml.contains("<model type=\"vga\"/>"), "{xml}");
        assert!(
            xml.contains("<listen type=\"socket\" socket=\"/run/lab/node1.vnc\"/>"),
            "{xml}"
        );
    }

    #[test]
    fn a_machine_that_boots_by_http_is_told_not_to_try_pxe() {
        insta::assert_snapshot!(render(&spec(Firmware::UefiHttp, Accelerator::Tcg)));
    }

    #[test]
    fn a_uefi_machine_has_the_rom_off_and_no_secure_boot() {
        insta::assert_snapshot!(render(&spec(Firmware::Uefi, Accelerator::Kvm)));
    }
}
