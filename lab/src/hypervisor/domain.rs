//! A node's libvirt domain as XML.
//!
//! The machine is what a bare-metal server is to its boot server: a UUID and a serial number in SMBIOS,
//! one network card with a fixed MAC that boots first, a serial console; no disk. UEFI machines have
//! the card's ROM off, so that EDK2's own PXE client asks; BIOS machines have QEMU's, which is iPXE.
//! virtio-rng is always there: EDK2's network stack needs it (tianocore/edk2#9530).

use std::path::Path;

use serde::Serialize;

use super::accel::Accelerator;
use super::network::indented;
use crate::scenario::Firmware;

/// TCG's translation cache in MiB: systemd's start-up overflows smaller ones, which costs a flush each time.
const TCG_TB_CACHE_MIB: u32 = 256;

/// What a node's domain is made from.
#[derive(Debug, Clone)]
pub struct DomainSpec<'a> {
    /// Name in libvirt.
    pub name: &'a str,
    /// SMBIOS UUID, also libvirt's.
    pub uuid: &'a str,
    /// MAC of its network card.
    pub mac: &'a str,
    /// SMBIOS serial number.
    pub serial: &'a str,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Firmware.
    pub firmware: Firmware,
    /// What executes its instructions.
    pub accelerator: Accelerator,
    /// libvirt network it is plugged into.
    pub network: &'a str,
    /// Unix socket on which its serial console listens.
    pub console: &'a Path,
    /// Run id, kept in the domain's metadata.
    pub run_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename = "domain")]
struct DomainXml<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    name: &'a str,
    uuid: &'a str,
    metadata: MetadataXml<'a>,
    memory: MemoryXml,
    vcpu: u32,
    os: OsXml,
    sysinfo: SysinfoXml<'a>,
    features: FeaturesXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<CpuXml>,
    on_poweroff: &'static str,
    on_reboot: &'static str,
    on_crash: &'static str,
    devices: DevicesXml<'a>,
}

#[derive(Serialize)]
struct MetadataXml<'a> {
    #[serde(rename = "lab:run")]
    run: RunXml<'a>,
}

#[derive(Serialize)]
struct RunXml<'a> {
    #[serde(rename = "@xmlns:lab")]
    namespace: &'static str,
    #[serde(rename = "@id")]
    id: &'a str,
}

#[derive(Serialize)]
struct MemoryXml {
    #[serde(rename = "@unit")]
    unit: &'static str,
    #[serde(rename = "$text")]
    amount: u32,
}

#[derive(Serialize)]
struct OsXml {
    #[serde(rename = "@firmware", skip_serializing_if = "Option::is_none")]
    firmware: Option<&'static str>,
    #[serde(rename = "type")]
    kind: OsTypeXml,
    #[serde(rename = "firmware", skip_serializing_if = "Option::is_none")]
    firmware_features: Option<FirmwareXml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bios: Option<BiosXml>,
    smbios: SmbiosXml,
}

#[derive(Serialize)]
struct OsTypeXml {
    #[serde(rename = "@arch")]
    arch: &'static str,
    #[serde(rename = "@machine")]
    machine: &'static str,
    #[serde(rename = "$text")]
    kind: &'static str,
}

#[derive(Serialize)]
struct FirmwareXml {
    feature: Vec<FirmwareFeatureXml>,
}

#[derive(Serialize)]
struct FirmwareFeatureXml {
    #[serde(rename = "@name")]
    name: &'static str,
    #[serde(rename = "@enabled")]
    enabled: &'static str,
}

#[derive(Serialize)]
struct BiosXml {
    #[serde(rename = "@useserial")]
    useserial: &'static str,
}

#[derive(Serialize)]
struct SmbiosXml {
    #[serde(rename = "@mode")]
    mode: &'static str,
}

#[derive(Serialize)]
struct SysinfoXml<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    system: SystemXml<'a>,
}

#[derive(Serialize)]
struct SystemXml<'a> {
    entry: Vec<EntryXml<'a>>,
}

#[derive(Serialize)]
struct EntryXml<'a> {
    #[serde(rename = "@name")]
    name: &'static str,
    #[serde(rename = "$text")]
    value: &'a str,
}

#[derive(Serialize)]
struct FeaturesXml {
    acpi: (),
    apic: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    tcg: Option<TcgXml>,
}

#[derive(Serialize)]
struct TcgXml {
    #[serde(rename = "tb-cache")]
    tb_cache: MemoryXml,
}

#[derive(Serialize)]
struct CpuXml {
    #[serde(rename = "@mode")]
    mode: &'static str,
}

#[derive(Serialize)]
struct DevicesXml<'a> {
    controller: ControllerXml,
    interface: InterfaceXml<'a>,
    serial: SerialXml<'a>,
    memballoon: ModelXml,
    rng: RngXml,
}

#[derive(Serialize)]
struct ControllerXml {
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(rename = "@model")]
    model: &'static str,
}

#[derive(Serialize)]
struct InterfaceXml<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    mac: MacXml<'a>,
    source: NetworkSourceXml<'a>,
    model: TypeXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    rom: Option<RomXml>,
    boot: BootXml,
}

#[derive(Serialize)]
struct MacXml<'a> {
    #[serde(rename = "@address")]
    address: &'a str,
}

#[derive(Serialize)]
struct NetworkSourceXml<'a> {
    #[serde(rename = "@network")]
    network: &'a str,
}

#[derive(Serialize)]
struct TypeXml {
    #[serde(rename = "@type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct ModelXml {
    #[serde(rename = "@model")]
    model: &'static str,
}

#[derive(Serialize)]
struct RomXml {
    #[serde(rename = "@enabled")]
    enabled: &'static str,
}

#[derive(Serialize)]
struct BootXml {
    #[serde(rename = "@order")]
    order: u8,
}

#[derive(Serialize)]
struct SerialXml<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    source: SocketXml<'a>,
    target: PortXml,
}

#[derive(Serialize)]
struct SocketXml<'a> {
    #[serde(rename = "@mode")]
    mode: &'static str,
    #[serde(rename = "@path")]
    path: &'a Path,
}

#[derive(Serialize)]
struct PortXml {
    #[serde(rename = "@port")]
    port: u8,
}

#[derive(Serialize)]
struct RngXml {
    #[serde(rename = "@model")]
    model: &'static str,
    backend: BackendXml,
}

#[derive(Serialize)]
struct BackendXml {
    #[serde(rename = "@model")]
    model: &'static str,
    #[serde(rename = "$text")]
    path: &'static str,
}

/// Renders libvirt's domain XML.
#[must_use]
pub fn render(spec: &DomainSpec<'_>) -> String {
    let uefi = spec.firmware == Firmware::Uefi;
    let kvm = spec.accelerator == Accelerator::Kvm;
    indented(&DomainXml {
        kind: if kvm { "kvm" } else { "qemu" },
        name: spec.name,
        uuid: spec.uuid,
        metadata: MetadataXml {
            run: RunXml {
                namespace: "urn:bootlab:run",
                id: spec.run_id,
            },
        },
        memory: MemoryXml {
            unit: "MiB",
            amount: spec.memory_mib,
        },
        vcpu: 1,
        os: os(uefi),
        sysinfo: SysinfoXml {
            kind: "smbios",
            system: SystemXml {
                entry: vec![
                    EntryXml {
                        name: "serial",
                        value: spec.serial,
                    },
                    EntryXml {
                        name: "uuid",
                        value: spec.uuid,
                    },
                ],
            },
        },
        features: FeaturesXml {
            acpi: (),
            apic: (),
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

fn os(uefi: bool) -> OsXml {
    OsXml {
        firmware: uefi.then_some("efi"),
        kind: OsTypeXml {
            arch: "x86_64",
            machine: "q35",
            kind: "hvm",
        },
        // Left to itself libvirt takes the Secure Boot build, which refuses unsigned iPXE.
        firmware_features: uefi.then(|| FirmwareXml {
            feature: vec![FirmwareFeatureXml {
                name: "secure-boot",
                enabled: "no",
            }],
        }),
        bios: (!uefi).then_some(BiosXml { useserial: "yes" }),
        smbios: SmbiosXml { mode: "sysinfo" },
    }
}

fn devices<'a>(spec: &DomainSpec<'a>, uefi: bool) -> DevicesXml<'a> {
    DevicesXml {
        controller: ControllerXml {
            kind: "usb",
            model: "none",
        },
        interface: InterfaceXml {
            kind: "network",
            mac: MacXml { address: spec.mac },
            source: NetworkSourceXml {
                network: spec.network,
            },
            model: TypeXml { kind: "virtio" },
            rom: uefi.then_some(RomXml { enabled: "no" }),
            boot: BootXml { order: 1 },
        },
        serial: SerialXml {
            kind: "unix",
            source: SocketXml {
                mode: "bind",
                path: spec.console,
            },
            target: PortXml { port: 0 },
        },
        memballoon: ModelXml { model: "none" },
        rng: RngXml {
            model: "virtio",
            backend: BackendXml {
                model: "random",
                path: "/dev/urandom",
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(firmware: Firmware, accelerator: Accelerator) -> DomainSpec<'static> {
        DomainSpec {
            name: "lab-4f2a11-node1",
            uuid: "16e7d8a7-bfa9-428b-9117-363341bb330b",
            mac: "52:54:00:a1:9c:ae",
            serial: "node1",
            memory_mib: 1024,
            firmware,
            accelerator,
            network: "lab-4f2a11-net",
            console: Path::new("/run/lab/node1.console"),
            run_id: "4f2a11",
        }
    }

    #[test]
    fn a_bios_machine_boots_from_qemus_ipxe_rom() {
        insta::assert_snapshot!(render(&spec(Firmware::Bios, Accelerator::Tcg)));
    }

    #[test]
    fn a_uefi_machine_has_the_rom_off_and_no_secure_boot() {
        insta::assert_snapshot!(render(&spec(Firmware::Uefi, Accelerator::Kvm)));
    }
}
