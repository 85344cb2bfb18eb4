//! Facts about a machine from libvirt's XML of its domain.

use std::num::NonZeroU32;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Facts about a machine, as libvirt defined it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domain {
    /// Memory in MiB, rounded down; `None` when the XML names none.
    pub memory_mib: Option<NonZeroU32>,
    /// True if the machine has a random number generator.
    pub has_rng: bool,
    /// Host's end of the first network card; only a domain that exists has one.
    pub interface: Option<String>,
}

impl Domain {
    /// Reads the XML of a domain; what cannot be read is left out.
    #[must_use]
    pub fn read(xml: &str) -> Domain {
        let mut reader = Reader::from_str(xml);
        let mut domain = Domain::default();
        let mut path: Vec<String> = Vec::new();
        let mut unit = None;
        loop {
            match reader.read_event() {
                Ok(Event::Start(start)) => {
                    domain.element(&path, &start);
                    path.push(start.name().as_ref().to_owned());
                    if is_memory(&path) {
                        unit = attribute(&start, "unit");
                    }
                }
                Ok(Event::Empty(start)) => domain.element(&path, &start),
                Ok(Event::Text(text)) if is_memory(&path) => {
                    let amount = text.trim().parse().ok();
                    domain.memory_mib = amount.and_then(|amount| mib(amount, unit.as_deref()));
                }
                Ok(Event::End(_)) => drop(path.pop()),
                Ok(Event::Eof) | Err(_) => return domain,
                Ok(_) => {}
            }
        }
    }

    fn element(&mut self, path: &[String], start: &BytesStart<'_>) {
        let is_in = |wanted: &[&str]| path.iter().map(String::as_str).eq(wanted.iter().copied());
        match start.name().as_ref() {
            "rng" if is_in(&["domain", "devices"]) => self.has_rng = true,
            "target" if self.interface.is_none() && is_in(&["domain", "devices", "interface"]) => {
                self.interface = attribute(start, "dev");
            }
            _ => {}
        }
    }
}

fn is_memory(path: &[String]) -> bool {
    matches!(path, [domain, memory] if domain == "domain" && memory == "memory")
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    Some(attribute.value.into_owned())
}

/// An amount of memory in MiB. The unit is KiB unless the XML names another (libvirt's `formatdomain`, memory).
fn mib(amount: u64, unit: Option<&str>) -> Option<NonZeroU32> {
    let bytes_per_unit: u64 = match unit.unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "KB" => 1000,
        "k" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    let mib = amount.checked_mul(bytes_per_unit)? >> 20;
    NonZeroU32::new(u32::try_from(mib).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_mib(memory: &str) -> Option<u32> {
        let domain = Domain::read(&format!("<domain><title>x</title>{memory}</domain>"));
        domain.memory_mib.map(NonZeroU32::get)
    }

    #[test]
    fn read_memory_is_in_mib_whatever_its_unit() {
        assert_eq!(
            memory_mib("<memory unit='KiB'>2097152</memory>"),
            Some(2048)
        );
        assert_eq!(memory_mib("<memory>1048576</memory>"), Some(1024));
        assert_eq!(memory_mib("<memory unit=\"MiB\"> 96 </memory>"), Some(96));
        assert_eq!(memory_mib("<memory unit='GiB'>2</memory>"), Some(2048));
        assert_eq!(memory_mib("<memory unit='acre'>2</memory>"), None);
        assert_eq!(memory_mib("<memory>much</memory>"), None);
    }

    #[test]
    fn read_other_elements_with_memory_in_their_names_are_left_aside() {
        assert_eq!(
            memory_mib("<memoryBacking><memory>9</memory></memoryBacking>"),
            None
        );
        assert_eq!(memory_mib("<!-- <memory>1048576</memory> -->"), None);
    }

    #[test]
    fn read_rng_and_interface_are_those_of_the_machines_devices() {
        let xml = "<domain><devices><disk><target dev='sda'/></disk><interface type='network'>\
                   <mac address='52:54:00:a1:9c:ae'/><target dev='vnet3'/></interface>\
                   <interface><target dev='vnet4'/></interface><rng model='virtio'/></devices></domain>";
        let domain = Domain::read(xml);
        assert_eq!(domain.interface.as_deref(), Some("vnet3"));
        assert!(domain.has_rng);
        let bare = Domain::read("<domain><description>no rng</description><devices/></domain>");
        assert_eq!(bare, Domain::default());
    }

    #[test]
    fn read_broken_xml_is_what_came_before_it() {
        let domain = Domain::read("<domain><memory unit='MiB'>64</memory><devices><rng/><");
        assert_eq!(domain.memory_mib.map(NonZeroU32::get), Some(64));
        assert!(domain.has_rng);
        assert_eq!(Domain::read(""), Domain::default());
    }
}
