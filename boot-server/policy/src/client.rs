//! Classification of the sender of a DHCP message: read once, used everywhere.

use uuid::Uuid;

use boot_server_proto::dhcp::{ClientArch, FieldError, MachineId, Message, MessageType, Op, code};
use boot_server_proto::mac::MacAddr;

/// The program that speaks DHCP for the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loader {
    /// Firmware, or an operating system.
    Firmware,
    /// iPXE: a network card's ROM, or an NBP that we sent. Their packets do not differ.
    Ipxe,
    /// Pixiecore's own build of iPXE, whose user class is `pixiecore`.
    PixiecoreIpxe,
}

/// Sender of a DHCP message, and the program it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Hardware address of the client.
    pub mac: MacAddr,
    /// DHCP message type it sent.
    pub message: MessageType,
    /// SMBIOS UUID, in the byte order that machines show.
    pub uuid: Option<Uuid>,
    /// Option 97 as it was sent, whatever it says.
    pub machine_id: Option<MachineId>,
    /// Option 97 is present but not a machine identifier.
    pub broken_machine_id: bool,
    /// Architectures in option 93; empty without the option.
    pub arch: Vec<ClientArch>,
    /// The program that is asking.
    pub loader: Loader,
    /// The user class is exactly the bytes `iPXE`, the one form that Pixiecore takes for iPXE.
    pub bare_ipxe_class: bool,
    /// True if the client boots over HTTP (UEFI 2.10, section 24.7): it expects a URL, and `HTTPClient` in
    /// option 60.
    pub http_boot: bool,
    /// True for the boot loader of a Raspberry Pi.
    pub raspberry_pi: bool,
    /// True if the client requests a network boot: a PXE or HTTP client, or iPXE.
    pub wants_boot: bool,
}

/// Reasons that a server does not answer a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassifyError {
    /// A server's message.
    #[error("a server's message")]
    Reply,
    /// The hardware address is not an Ethernet one, or a group's.
    #[error("no usable Ethernet address")]
    NoMac,
    /// BOOTP without DHCP.
    #[error("no DHCP message type")]
    NoMessageType,
    /// An option that decides about the answer is broken.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Reads who sent a message.
///
/// # Errors
/// [`ClassifyError`]: the message is none that a server answers.
pub fn classify(message: &Message) -> Result<Client, ClassifyError> {
    if message.op != Op::Request {
        return Err(ClassifyError::Reply);
    }
    let mac = message
        .mac()
        .filter(|mac| !mac.is_multicast())
        .ok_or(ClassifyError::NoMac)?;
    let kind = message
        .message_type()?
        .ok_or(ClassifyError::NoMessageType)?;
    let classes = message.user_classes();
    let has_class = |name: &[u8]| classes.iter().any(|class| class == name);
    let loader = if has_class(b"pixiecore") {
        Loader::PixiecoreIpxe
    } else if has_class(b"iPXE") || message.ipxe_features().is_some() {
        Loader::Ipxe
    } else {
        Loader::Firmware
    };
    let vendor_class = message.vendor_class().unwrap_or_default();
    // One of a broken length counts as absent: dnsmasq gives such a client an address, too.
    let mut arch = message.client_arch().unwrap_or_default();
    if arch.is_empty() {
        arch.extend(arch_of_vendor_class(&vendor_class));
    }
    let machine_id = message.machine_id();
    let uuid = machine_id
        .as_ref()
        .ok()
        .and_then(|id| id.as_ref())
        .map(|id| id.uuid());
    Ok(Client {
        mac,
        message: kind,
        uuid: uuid.filter(|uuid| !uuid.is_nil() && !uuid.is_max()),
        machine_id: machine_id.as_ref().ok().copied().flatten(),
        broken_machine_id: machine_id.is_err(),
        wants_boot: loader != Loader::Firmware
            || !arch.is_empty()
            || vendor_class.starts_with("PXEClient")
            || vendor_class.starts_with("HTTPClient"),
        http_boot: loader == Loader::Firmware
            && (vendor_class.starts_with("HTTPClient")
                || (!vendor_class.starts_with("PXEClient") && arch.iter().any(|a| a.is_http()))),
        raspberry_pi: loader == Loader::Firmware && is_raspberry_pi(mac, &arch, &vendor_class),
        arch,
        loader,
        bare_ipxe_class: message.text_bytes(code::USER_CLASS) == Some(b"iPXE"),
    })
}

/// Makers' prefixes of Raspberry Pis.
const RASPBERRY_PI_PREFIXES: [[u8; 3]; 6] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
    [0x28, 0xcd, 0xc1],
];

/// Up to the Pi 4 they call themselves BIOS machines with a vendor class that says UNDI 2.1; newer
/// loaders say 41. A Pi that runs UEFI firmware or U-Boot tells another architecture.
fn is_raspberry_pi(mac: MacAddr, arch: &[ClientArch], vendor_class: &str) -> bool {
    let MacAddr([a, b, c, ..]) = mac;
    arch.contains(&ClientArch::RaspberryPi)
        || (RASPBERRY_PI_PREFIXES.contains(&[a, b, c])
            && arch == [ClientArch::Bios]
            && vendor_class == "PXEClient:Arch:00000:UNDI:002001")
}

/// `PXEClient:Arch:00007:…` names the architecture when option 93 does not (PXE 2.1 §2.2).
fn arch_of_vendor_class(vendor_class: &str) -> Option<ClientArch> {
    let mut parts = vendor_class.split(':');
    let (name, arch) = (parts.next()?, parts.next()?);
    (matches!(name, "PXEClient" | "HTTPClient") && arch == "Arch")
        .then(|| parts.next()?.parse().ok().map(ClientArch::from_wire))
        .flatten()
}
