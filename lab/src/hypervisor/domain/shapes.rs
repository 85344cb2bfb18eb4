//! Types of libvirt's domain XML, limited to the elements that the lab uses.
//!
//! Source: <https://libvirt.org/formatdomain.html>.

use std::path::Path;

use serde::Serialize;

use crate::hypervisor::mark::MetadataXml;

#[derive(Serialize)]
#[serde(rename = "domain")]
pub(super) struct DomainXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) uuid: &'a str,
    pub(super) metadata: MetadataXml<'a>,
    pub(super) memory: MemoryXml,
    pub(super) vcpu: u32,
    pub(super) os: OsXml<'a>,
    pub(super) sysinfo: Vec<SysinfoXml<'a>>,
    pub(super) features: FeaturesXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<CpuXml>,
    pub(super) on_poweroff: &'static str,
    pub(super) on_reboot: &'static str,
    pub(super) on_crash: &'static str,
    pub(super) devices: DevicesXml<'a>,
}

#[derive(Serialize)]
pub(super) struct MemoryXml {
    #[serde(rename = "@unit")]
    pub(super) unit: &'static str,
    #[serde(rename = "$text")]
    pub(super) amount: u32,
}

#[derive(Serialize)]
pub(super) struct OsXml<'a> {
    #[serde(rename = "@firmware", skip_serializing_if = "Option::is_none")]
    pub(super) firmware: Option<&'static str>,
    #[serde(rename = "type")]
    pub(super) kind: OsTypeXml,
    #[serde(rename = "firmware", skip_serializing_if = "Option::is_none")]
    pub(super) firmware_features: Option<FirmwareXml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loader: Option<LoaderXml<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nvram: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bios: Option<BiosXml>,
    pub(super) smbios: SmbiosXml,
}

#[derive(Serialize)]
pub(super) struct LoaderXml<'a> {
    #[serde(rename = "@readonly")]
    pub(super) readonly: &'static str,
    #[serde(rename = "@secure")]
    pub(super) secure: &'static str,
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "$text")]
    pub(super) code: &'a Path,
}

#[derive(Serialize)]
pub(super) struct OsTypeXml {
    #[serde(rename = "@arch")]
    pub(super) arch: &'static str,
    #[serde(rename = "@machine")]
    pub(super) machine: &'static str,
    #[serde(rename = "$text")]
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct FirmwareXml {
    pub(super) feature: Vec<FirmwareFeatureXml>,
}

#[derive(Serialize)]
pub(super) struct FirmwareFeatureXml {
    #[serde(rename = "@name")]
    pub(super) name: &'static str,
    #[serde(rename = "@enabled")]
    pub(super) enabled: &'static str,
}

#[derive(Serialize)]
pub(super) struct BiosXml {
    #[serde(rename = "@useserial")]
    pub(super) useserial: &'static str,
}

#[derive(Serialize)]
pub(super) struct SmbiosXml {
    #[serde(rename = "@mode")]
    pub(super) mode: &'static str,
}

#[derive(Serialize)]
pub(super) struct SysinfoXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<SystemXml<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) entry: Vec<EntryXml<'a>>,
}

#[derive(Serialize)]
pub(super) struct SystemXml<'a> {
    pub(super) entry: Vec<EntryXml<'a>>,
}

#[derive(Serialize)]
pub(super) struct EntryXml<'a> {
    #[serde(rename = "@name")]
    pub(super) name: &'static str,
    #[serde(rename = "$text")]
    pub(super) value: &'a str,
}

#[derive(Serialize)]
pub(super) struct FeaturesXml {
    pub(super) acpi: (),
    pub(super) apic: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) smm: Option<SmmXml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tcg: Option<TcgXml>,
}

#[derive(Serialize)]
pub(super) struct SmmXml {
    #[serde(rename = "@state")]
    pub(super) state: &'static str,
}

#[derive(Serialize)]
pub(super) struct TcgXml {
    #[serde(rename = "tb-cache")]
    pub(super) tb_cache: MemoryXml,
}

#[derive(Serialize)]
pub(super) struct CpuXml {
    #[serde(rename = "@mode")]
    pub(super) mode: &'static str,
}

#[derive(Serialize)]
pub(super) struct DevicesXml<'a> {
    pub(super) controller: ControllerXml,
    pub(super) disk: Vec<DiskXml<'a>>,
    pub(super) interface: Vec<InterfaceXml<'a>>,
    pub(super) serial: Vec<SerialXml<'a>>,
    pub(super) channel: ChannelXml<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) graphics: Option<GraphicsXml<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) video: Option<VideoXml>,
    pub(super) memballoon: ModelXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rng: Option<RngXml>,
}

#[derive(Serialize)]
pub(super) struct ControllerXml {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@model")]
    pub(super) model: &'static str,
}

#[derive(Serialize)]
pub(super) struct DiskXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@device")]
    pub(super) device: &'static str,
    pub(super) driver: DriverXml,
    pub(super) source: FileXml<'a>,
    pub(super) target: DiskTargetXml,
    pub(super) serial: String,
}

#[derive(Serialize)]
pub(super) struct DriverXml {
    #[serde(rename = "@name")]
    pub(super) name: &'static str,
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@discard")]
    pub(super) discard: &'static str,
}

#[derive(Serialize)]
pub(super) struct FileXml<'a> {
    #[serde(rename = "@file")]
    pub(super) file: &'a Path,
}

#[derive(Serialize)]
pub(super) struct DiskTargetXml {
    #[serde(rename = "@dev")]
    pub(super) dev: String,
    #[serde(rename = "@bus")]
    pub(super) bus: &'static str,
}

#[derive(Serialize)]
pub(super) struct InterfaceXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) mac: MacXml<'a>,
    pub(super) source: NetworkSourceXml<'a>,
    pub(super) model: TypeXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rom: Option<RomXml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<LinkXml>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) boot: Option<BootXml>,
}

#[derive(Serialize)]
pub(super) struct LinkXml {
    #[serde(rename = "@state")]
    pub(super) state: &'static str,
}

#[derive(Serialize)]
pub(super) struct MacXml<'a> {
    #[serde(rename = "@address")]
    pub(super) address: &'a str,
}

#[derive(Serialize)]
pub(super) struct NetworkSourceXml<'a> {
    #[serde(rename = "@network")]
    pub(super) network: &'a str,
}

#[derive(Serialize)]
pub(super) struct TypeXml {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct GraphicsXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) listen: ListenXml<'a>,
}

#[derive(Serialize)]
pub(super) struct ListenXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@socket")]
    pub(super) socket: &'a Path,
}

#[derive(Serialize)]
pub(super) struct LogXml<'a> {
    #[serde(rename = "@file")]
    pub(super) file: &'a Path,
    #[serde(rename = "@append")]
    pub(super) append: &'static str,
}

#[derive(Serialize)]
pub(super) struct VideoXml {
    pub(super) model: TypeXml,
}

#[derive(Serialize)]
pub(super) struct ModelXml {
    #[serde(rename = "@model")]
    pub(super) model: &'static str,
}

#[derive(Serialize)]
pub(super) struct RomXml {
    #[serde(rename = "@enabled")]
    pub(super) enabled: &'static str,
}

#[derive(Serialize)]
pub(super) struct BootXml {
    #[serde(rename = "@order")]
    pub(super) order: u8,
}

#[derive(Serialize)]
pub(super) struct SerialXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) source: SocketXml<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<LogXml<'a>>,
    pub(super) target: TargetXml,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<AddressXml>,
}

#[derive(Serialize)]
pub(super) struct ChannelXml<'a> {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    pub(super) source: SocketXml<'a>,
    pub(super) target: PortXml,
}

#[derive(Serialize)]
pub(super) struct PortXml {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@name")]
    pub(super) name: &'static str,
}

#[derive(Serialize)]
pub(super) struct SocketXml<'a> {
    #[serde(rename = "@mode")]
    pub(super) mode: &'static str,
    #[serde(rename = "@path")]
    pub(super) path: &'a Path,
}

#[derive(Serialize)]
pub(super) struct TargetXml {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@port")]
    pub(super) port: u8,
    pub(super) model: ModelNameXml,
}

#[derive(Serialize)]
pub(super) struct ModelNameXml {
    #[serde(rename = "@name")]
    pub(super) name: &'static str,
}

#[derive(Serialize)]
pub(super) struct AddressXml {
    #[serde(rename = "@type")]
    pub(super) kind: &'static str,
    #[serde(rename = "@iobase")]
    pub(super) iobase: &'static str,
}

#[derive(Serialize)]
pub(super) struct RngXml {
    #[serde(rename = "@model")]
    pub(super) model: &'static str,
    pub(super) backend: BackendXml,
}

#[derive(Serialize)]
pub(super) struct BackendXml {
    #[serde(rename = "@model")]
    pub(super) model: &'static str,
    #[serde(rename = "$text")]
    pub(super) path: &'static str,
}
