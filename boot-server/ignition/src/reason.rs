//! Reasons of findings, in the words of Butane, Ignition and the Container Linux Config Transpiler: users search for them.

use std::path::PathBuf;

/// Problem that a finding reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says it")]
pub enum Reason {
    // Keys and values of the config itself.
    #[error("unused key {0}")]
    UnusedKey(String),
    #[error(
        "context tree does not match content tree. Line and column reporting may be inconsistent. Unused keys may not be reported"
    )]
    ContextMismatch,
    #[error("only one of the following can be set: inline, local, source")]
    TooManySources,
    #[error("only one of the following can be set: contents, contents_local")]
    TooManyUnitSources,
    #[error("local file paths are relative to a files directory, which is not configured")]
    NoFilesDir,
    #[error("local file path traverses outside the files directory")]
    FilesDirEscape,
    #[error("cannot read {file}: {problem}", file = .0.display(), problem = .1)]
    CannotRead(PathBuf, String),
    #[error("local files of this config are larger than {0} MiB in total")]
    TooManyBytes(usize),
    #[error("trees of this config have more than {0} files")]
    TooManyNodes(usize),
    #[error("root of tree must be a directory")]
    TreeNotDirectory,
    #[error("trees may only contain files, directories, and symlinks")]
    TreeFileType,
    #[error("local is required")]
    TreeNoLocal,
    #[error("matching filesystem node has existing contents or different type")]
    NodeExists,
    #[error(
        "unreasonable mode would be reasonable if specified in octal; remember to add a leading zero"
    )]
    DecimalMode,
    #[error("path is required if with_mount_unit is true and format is not swap")]
    MountUnitNoPath,
    #[error("format is required if with_mount_unit is true")]
    MountUnitNoFormat,
    #[error("path must be under /etc or /var if with_mount_unit is true")]
    MountPointForbidden,
    #[error("template instances cannot have contents or contents_local")]
    TemplateInstanceContents,
    #[error("unknown quadlet extension")]
    QuadletExtension,
    #[error("merged and replacing configs cannot be Butane configs")]
    NestedConfigNotIgnition,
    #[error("config is not valid")]
    NestedConfigInvalid,
    #[error("{0}")]
    NestedConfigJson(String),
    #[error("invalid config version (couldn't parse)")]
    NestedConfigVersion,
    #[error("skipping validation for the merge/replace ignition config due to an unknown version")]
    NestedConfigUnknownVersion,

    // Container Linux Configs.
    #[error("configuration is empty")]
    Empty,
    #[error("Config has unrecognized key: {0}")]
    UnrecognizedKey(String),
    #[error("mode unspecified for file, defaulting to 0644")]
    FileModeUnset,
    #[error("mode unspecified for directory, defaulting to 0755")]
    DirectoryModeUnset,
    #[error("only one of the following can be set: local, inline, remote.url")]
    TooManyFileSources,
    #[error("local files are not supported in a Container Linux Config")]
    NoLocalFiles,
    #[error("Etcd version specified is not valid (too old)")]
    EtcdTooOld,
    #[error(
        "Etcd minor version specified is too new, only options available in the previous minor version will be accepted"
    )]
    EtcdMinorTooNew,
    #[error("Etcd version is not valid (too new)")]
    EtcdTooNew,
    #[error("invalid flannel version (too old)")]
    FlannelTooOld,
    #[error(
        "flannel minor version too new. Only options available in the previous minor version will be supported"
    )]
    FlannelMinorTooNew,
    #[error("flannel network config doesn't appear to be valid JSON")]
    FlannelNetworkConfig,
    #[error("flannel network config cannot be provided if kube_subnet_mgr is set")]
    FlannelConfigAndManager,
    #[error("unknown update group")]
    UpdateGroup,
    #[error("unknown reboot strategy")]
    RebootStrategy,
    #[error("window-start and window-length must both be specified")]
    WindowIncomplete,
    #[error("couldn't parse window start")]
    WindowStart,
    #[error("unknown day in window start")]
    WindowDay,
    #[error("couldn't parse window length")]
    WindowLength,
    #[error(
        "platform must be specified to use templating: dynamic data such as {{PRIVATE_IPV4}} is not supported"
    )]
    NoPlatform,
    #[error("units: invalid {0}")]
    InvalidSize(String),
    #[error("units: unknown unit {0} in {1}")]
    UnknownUnit(String, String),
    #[error("invalid dimension (negative): \"{0}\"")]
    NegativeSize(String),
    #[error("cannot set both append and overwrite to true")]
    AppendAndOverwrite,
    #[error("no filesystem specified")]
    NoFilesystem,
    #[error("Filesystem \"{0}\" shadows existing filesystem definition")]
    FilesystemShadows(String),
    #[error(
        "File \"{0}\" references nonexistent filesystem \"{1}\". (This is ok if it is defined in a referenced config)"
    )]
    FilesystemUndefined(String, String),
    #[error("filesystem is missing mount or path")]
    FilesystemNothing,
    #[error("filesystem has both mount and path defined")]
    FilesystemBoth,
    #[error("cannot use both create object and wipeFilesystem field")]
    CreateAndWipe,
    #[error("the create object has been deprecated in favor of mount-level options")]
    MountCreateDeprecated,
    #[error("the create object has been deprecated in favor of user-level options")]
    UserCreateDeprecated,
    #[error("cannot use both the create object and the user-level {0} field")]
    CreateAndField(&'static str),
    #[error("partitions misaligned")]
    PartitionsMisaligned,
    #[error("spares unsupported for arrays with a level greater than 0")]
    RaidSparesOfLevel,
    #[error("invalid networkd unit extension")]
    NetworkdExtension,
    #[error("invalid networkd drop-in extension")]
    NetworkdDropinExtension,

    // Boot device, GRUB and root partition.
    #[error("layout must be one of: {0}")]
    UnknownLayout(&'static str),
    #[error("mirroring requires at least two devices")]
    TooFewMirrorDevices,
    #[error("boot_device.layout should be specified when boot_device.mirror is specified")]
    MirrorWithoutLayout,
    #[error("mirroring not supported on layouts: s390x-eckd, s390x-zfcp, s390x-virt")]
    MirrorNotSupported,
    #[error("device is required for layouts: s390x-eckd, s390x-zfcp")]
    NoLuksBootDevice,
    #[error(
        "device name must start with /dev/dasd on s390x-eckd layout or /dev/sd on s390x-zfcp layout"
    )]
    LuksBootDeviceName,
    #[error("when using cex the targeted architecture must match s390x")]
    CexArchitecture,
    #[error("field \"{0}\" is required")]
    GrubFieldRequired(&'static str),
    #[error("root should have 8GiB of space assigned")]
    RootTooSmall,
    #[error(
        "root partition cannot expand; it is set to fill available space but is followed by an auto-positioned partition"
    )]
    RootConstrained,
    #[error("incorrect partition number; a new partition will be created using reserved label")]
    WrongPartitionNumber,
    #[error(
        "partitions cannot be reused by label; number must be specified except on boot disk (/dev/disk/by-id/coreos-boot-disk) or when wipe_table is true"
    )]
    ReuseByLabel,

    // What a variant does not support.
    #[error("{0} is not supported in this spec version")]
    NotSupported(&'static str),
    #[error("cex is not currently supported on the target platform")]
    CexNotSupported,
    #[error("metadata.name is required")]
    NameRequired,
    #[error("machineconfiguration.openshift.io/role label is required")]
    RoleRequired,
    #[error("must be empty, \"default\", or \"realtime\"")]
    KernelType,
    #[error("missing required kernel argument for cex: rd.luks.key=/etc/luks/cex.key")]
    CexKernelArgument,
    #[error("{0} is not supported by MachineConfig")]
    MachineConfig(&'static str),
    #[error("field ignored in raw mode")]
    FieldElided,

    // The Ignition config.
    #[error("duplicate entry defined")]
    Duplicate,
    #[error("path not specified")]
    NoPath,
    #[error("path not absolute")]
    RelativePath,
    #[error("path is not fully simplified")]
    DirtyPath,
    #[error("illegal file mode")]
    IllegalMode,
    #[error(
        "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0"
    )]
    SpecialMode,
    #[error("cannot set both id and name")]
    BothIdAndName,
    #[error("overwrite must be false if source is unspecified")]
    OverwriteWithoutSource,
    #[error("path conflicts with systemd unit or dropin")]
    PathConflictsSystemd,
    #[error("directory path includes link in config")]
    DirectoryUsesLink,
    #[error("file path includes link in config")]
    FileUsesLink,
    #[error("link path includes link in config")]
    LinkUsesLink,
    #[error("link target is required")]
    LinkTargetRequired,
    #[error("hard link target is a directory")]
    HardLinkToDirectory,
    #[error("user/group for hard link is ignored")]
    HardLinkOwner,
    #[error("invalid compression method")]
    Compression,
    #[error("source must be specified if verification is specified")]
    VerificationWithoutSource,
    #[error("source is required")]
    SourceRequired,
    #[error("malformed hash specifier")]
    HashMalformed,
    #[error("unrecognized hash function")]
    HashUnrecognized,
    #[error("incorrect size for hash sum")]
    HashSize,
    #[error("unable to parse url")]
    Url,
    #[error("invalid url scheme")]
    UrlScheme,
    #[error("invalid S3 object VersionId")]
    S3Version,
    #[error("invalid S3 ARN format")]
    S3Arn,
    #[error("{0}")]
    DataUrl(#[from] crate::go::dataurl::Invalid),
    #[error("cannot use HTTP headers with this source scheme")]
    HeadersScheme,
    #[error("HTTP header name can't be empty")]
    HeaderName,
    #[error("unable to parse HTTP header")]
    HeaderValue,
    #[error("proxies must be http(s)")]
    Proxy,
    #[error("insecure plaintext HTTP proxy specified for HTTPS resources")]
    InsecureProxy,
    #[error("disk device is required")]
    DeviceRequired,
    #[error("partition numbers collide")]
    PartitionNumbers,
    #[error("partitions overlap")]
    PartitionsOverlap,
    #[error("shouldExist is false for a partition and other partition(s) has start or size 0")]
    ZeroesWithShouldNotExist,
    #[error("cannot use the same partition label twice")]
    DuplicateLabels,
    #[error("shouldExist specified false with other options also specified")]
    ShouldNotExistWithOthers,
    #[error("a partition number >= 1 or a label must be specified")]
    NeedLabelOrNumber,
    #[error("partition labels may not exceed 36 characters")]
    LabelTooLong,
    #[error("partition label will be truncated to text before the colon")]
    LabelColon,
    #[error("doesn't match the form \"01234567-89AB-CDEF-EDCB-A98765432101\"")]
    Guid,
    #[error("raid level is required")]
    RaidLevelRequired,
    #[error("unrecognized raid level")]
    RaidLevel,
    #[error("spares unsupported for linear and raid0 arrays")]
    RaidSpares,
    #[error("raid devices required")]
    RaidDevicesRequired,
    #[error("invalid filesystem format")]
    Format,
    #[error(
        "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified"
    )]
    FormatRequired,
    #[error("filesystem must specify format if label is specified")]
    LabelNeedsFormat,
    #[error("filesystem labels cannot be longer than {1} characters when using {0}")]
    FilesystemLabel(&'static str, usize),
    #[error("filesystem {0} is not supported for this format")]
    FieldForFormat(&'static str),
    #[error("device not specified")]
    NoDevice,
    #[error("virtiofs device tag is longer than 36 characters")]
    VirtiofsTag,
    #[error("filesystem on partitioned disk will overwrite partitions")]
    PartitionsOverwritten,
    #[error("device matches disk with wipeTable enabled; filesystem will be wiped")]
    FilesystemImplicitWipe,
    #[error("device names cannot contain slashes")]
    LuksName,
    #[error("luks device labels cannot be longer than 47 characters")]
    LuksLabel,
    #[error("invalid key-file source")]
    LuksKeyFile,
    #[error("cannot use custom clevis config with tpm2, tang, or threshold")]
    ClevisCustomWithOthers,
    #[error("cannot use cex with clevis")]
    CexWithClevis,
    #[error("cannot use cex with key file")]
    CexWithKeyFile,
    #[error("missing required custom clevis pin")]
    ClevisPinRequired,
    #[error("unsupported clevis pin")]
    ClevisPin,
    #[error("missing required custom clevis config")]
    ClevisConfigRequired,
    #[error("thumbprint is required")]
    TangThumbprint,
    #[error("advertisement is not valid JSON")]
    TangAdvertisement,
    #[error("invalid systemd unit extension")]
    UnitExtension,
    #[error("invalid systemd drop-in extension")]
    DropinExtension,
    #[error("invalid unit content: {0}")]
    UnitContent(#[from] crate::go::unit::Invalid),
    #[error("unit \"{0}\" is enabled, but has no install section so enable does nothing")]
    NoInstallSection(String),
    #[error(
        "template unit \"{0}\" is enabled (instance \"{1}\"), but has no install section so enable does nothing"
    )]
    TemplateNoInstallSection(String, String),
}
