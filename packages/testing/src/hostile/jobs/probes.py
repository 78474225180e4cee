"""Tries every way to escape from a container through the kernel. Prints a line for each that was not refused.

A way that works does no harm: the script does not write to files that it opens, sets values to what they were, and
passes no structures to calls that take them.
"""
import ctypes, errno, os, platform, resource, signal, socket, struct

libc = ctypes.CDLL(None, use_errno=True)
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS}
ABSENT = REFUSED | {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTDIR}
NO_ROUTE = {errno.ENETUNREACH, errno.ECONNREFUSED, errno.EHOSTUNREACH}
UNREACHABLE = ABSENT | NO_ROUTE | {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


def attempt(name, way, refusals=REFUSED):
    """Prints what `way` returns, unless that is None, and errors other than `refusals`."""
    try:
        got = way()
    except OSError as error:
        got = None if error.errno in refusals else errno.errorcode.get(error.errno, error.errno)
    if got is not None:
        print(f"{name}: {got}", flush=True)


def in_child(way):
    """Runs `way` in a child process, so that it does not change this one."""
    pid = os.fork()
    if pid == 0:
        try:
            way()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.wait()[1])
    if status != 0:
        raise OSError(status, "")
    return "done"


def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]) == -1:
        raise OSError(ctypes.get_errno(), "")
    return "done"


# By name: the system call's number on x86_64 and on aarch64, and its arguments.
CALLS = {
    "mount": (165, 40, b"x", b"/tmp", b"tmpfs", 0, 0),
    "mount, a binding": (165, 40, b"/proc", b"/tmp", 0, 4096, 0),
    "mount, cgroups anew": (165, 40, b"x", b"/tmp", b"cgroup", 0, b"memory"),
    "mount, the new cgroups": (165, 40, b"x", b"/tmp", b"cgroup2", 0, 0),
    "mount, /proc anew": (165, 40, b"x", b"/tmp", b"proc", 0, 0),
    "mount, the root writable": (165, 40, 0, b"/", 0, 32, 0),
    "mount, /sys writable": (165, 40, 0, b"/sys", 0, 32, 0),
    "umount2 of a mask": (166, 39, b"/proc/kcore", 2),
    "umount2 of /output": (166, 39, b"/output", 2),
    "pivot_root": (155, 41, b"/tmp", b"/tmp"),
    "chroot": (161, 51, b"/tmp"),
    "open_tree": (428, 428, -100, b"/", 1),
    "move_mount": (429, 429, -100, b"/tmp", -100, b"/output", 0),
    "fsopen": (430, 430, b"tmpfs", 0),
    "fspick": (433, 433, -100, b"/", 0),
    "mount_setattr": (442, 442, -100, b"/", 0, 0, 0),
    "open_by_handle_at": (304, 265, -100, 0, 0),
    "add_key": (248, 217, b"user", b"x", b"y", 1, -3),
    "request_key": (249, 218, b"user", b"x", 0, -3),
    "keyctl": (250, 219, 0, -3, 1),
    "init_module": (175, 105, 0, 0, b""),
    "finit_module": (313, 273, 0, b"", 0),
    "delete_module": (176, 106, b"no-such-module", 0o4000),
    "bpf": (321, 280, 0, 0, 0),
    "perf_event_open": (298, 241, 0, 0, -1, -1, 0),
    "userfaultfd": (323, 282, 0),
    "kexec_load": (246, 104, 0, 0, 0, 0),
    "kexec_file_load": (320, 294, -1, -1, 0, 0, 0),
    "reboot": (169, 142, 0xFEE1DEAD, 672274793, 0, 0),
    "settimeofday": (164, 170, 0, 0),
    "clock_settime": (227, 112, 0, 0),
    "adjtimex": (159, 171, struct.pack("=I252x", 0x4000)),
    "sethostname": (170, 161, b"x", 1),
    "setdomainname": (171, 162, b"x", 1),
    "swapon": (167, 224, b"/tmp/x", 0),
    "swapoff": (168, 225, b"/tmp/x"),
    "acct": (163, 89, 0),
    "quotactl": (179, 60, 0, 0, 0, 0),
    "syslog": (103, 116, 10, 0, 0),
    "lookup_dcookie": (212, 18, 0, 0, 0),
    "vhangup": (153, 58),
    "fanotify_init": (300, 262, 0, 0),
    "move_pages": (279, 239, 1, 0, 0, 0, 0, 0),
    "setns": (308, 268, -1, 0),
    "iopl": (172, None, 3),
    "ioperm": (173, None, 0, 1, 1),
}
NAMESPACES = {
    **{"mnt": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000},
    **{"net": 0x40000000, "cgroup": 0x2000000, "time": 0x80},
}
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
CLONE, UNSHARE, SETNS, CAPSET, CLONE3 = (56, 220)[column], (272, 97)[column], (308, 268)[column], (126, 91)[column], 435


def cloned(number, *arguments):
    pid = libc.syscall(ctypes.c_long(number), *arguments)
    if pid == 0:
        os._exit(0)
    if pid == -1:
        raise OSError(ctypes.get_errno(), "")
    os.waitpid(pid, 0)
    return "done"


for name, (x86_64, aarch64, *arguments) in CALLS.items():
    number = (x86_64, aarch64)[column]
    if number is not None:
        attempt(name, lambda: call(number, *arguments))
for name, flag in NAMESPACES.items():
    attempt(f"unshare of {name}", lambda: in_child(lambda: call(UNSHARE, flag)))
    attempt(f"setns to init's {name}", lambda: in_child(lambda: call(SETNS, os.open(f"/proc/1/ns/{name}", 0), 0)))
    if name != "time":
        attempt(f"clone with a new {name}", lambda: cloned(CLONE, flag | signal.SIGCHLD, 0, 0, 0, 0))
    clone_args = struct.pack("=QQQQQQQQ", flag, 0, 0, 0, 17, 0, 0, 0)
    attempt(f"clone3 with a new {name}", lambda: cloned(CLONE3, clone_args, 64))

# Privileges and limits.
was = os.getuid()
attempt("setuid", lambda: os.setuid(0) or (os.getuid() == 0 and was != 0 and "done") or None)
attempt("setgid", lambda: os.setgid(0) or (was != 0 and "done") or None)
attempt("setgroups", lambda: os.setgroups([0]) or "done")
attempt("capset", lambda: call(CAPSET, struct.pack("=II", 0x20080522, 0), b"\xff" * 24))
attempt("ambient capability", lambda: call((157, 167)[column], 47, 2, 21, 0, 0))
attempt("nice", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20) or "done")
attempt("real-time scheduling", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "done")
oom_score = "/proc/self/oom_score_adj"
attempt("score of the out-of-memory killer", lambda: os.write(os.open(oom_score, os.O_WRONLY), b"-1000"))
for limit in ("NOFILE", "NPROC", "CORE", "FSIZE"):
    soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{limit}"))
    if hard != resource.RLIM_INFINITY:
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (soft, hard + 1))
            print(f"limit {limit}: raised")
        except (ValueError, OSError):
            pass

# Files of the kernel and of the host. The script writes to none of them.
for folder in ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/sys"):
    for at, folders, files in os.walk(folder):
        for name in files:
            path = os.path.join(at, name)
            opened = lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)) or "opened for writing"
            attempt(path, opened, ABSENT | {errno.ELOOP, errno.EINVAL})
        attempt(at, lambda: os.mkdir(at + "/compute-horde") or "folder made", ABSENT | {errno.EEXIST})
for path in ("/proc/sysrq-trigger", "/proc/mtrr", "/proc/sys/kernel/core_pattern",
             "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/cgroup.procs"):
    attempt(path, lambda: os.close(os.open(path, os.O_WRONLY)) or "opened for writing", ABSENT)
for path in ("/dev/kmsg", "/dev/mem", "/dev/port", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/kvm", "/dev/fuse",
             "/dev/net/tun", "/dev/loop-control", "/dev/mapper/control",
             "/proc/kmsg", "/proc/kcore", "/proc/timer_list", "/proc/keys", "/proc/latency_stats", "/proc/timer_stats",
             "/proc/sched_debug", "/proc/scsi/scsi",
             "/proc/1/root/etc/hostname.host", "/var/run/docker.sock", "/run/containerd/containerd.sock"):
    attempt(path, lambda: os.read(os.open(path, os.O_RDONLY), 1) or None, ABSENT)
for path in ("/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing",
             "/sys/kernel/security", "/sys/fs/bpf"):
    attempt(path, lambda: os.listdir(path) or None, ABSENT)
kernel_addresses = lambda: next((line for line in open("/proc/kallsyms") if int(line.split()[0], 16)), None)
attempt("addresses of the kernel", kernel_addresses, ABSENT)
KNOWN = "console core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
print("", *[f"/dev/{name}: there\n" for name in sorted(set(os.listdir("/dev")) - set(KNOWN))], sep="", end="")
own = ("1", str(os.getpid()))
others = lambda: [name for name in os.listdir("/proc") if name.isdigit() and name not in own]
attempt("other processes", lambda: [open(f"/proc/{name}/comm").read() for name in others()] or None)
secrets = ("DOCKER", "EXECUTOR", "MINER")
attempt("environment", lambda: [name for name in os.environ if name.startswith(secrets)] or None)

# Sockets, and hosts that it must not reach.
NOT_SUPPORTED = UNREACHABLE | {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}
for name, family in (("raw", socket.AF_INET), ("packet", 17), ("bluetooth", 31), ("can", 29)):
    attempt(f"socket {name}", lambda: socket.socket(family, socket.SOCK_RAW, 1).close() or "made", NOT_SUPPORTED)


def connected(family, address):
    with socket.socket(family) as each:
        each.settimeout(1)
        each.connect(address)
    return "reached"


# Tries the container's own machine (CID 1). A hypervisor is out of scope.
attempt("vsock", lambda: connected(40, (1, 1024)), UNREACHABLE | {errno.ECONNRESET})
for host in ("169.254.169.254", "127.0.0.1", "172.17.0.1", "10.0.0.1", "192.168.0.1", "1.1.1.1"):
    for port in (22, 53, 80, 443, 2375, 2376):
        attempt(f"{host}:{port}", lambda: connected(socket.AF_INET, (host, port)), UNREACHABLE)
for host in ("::1", "fe80::1", "fd00:ec2::254", "2606:4700:4700::1111"):
    attempt(host, lambda: connected(socket.AF_INET6, (host, 80)), UNREACHABLE | {errno.EINVAL})
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock",
             "\0docker", "\0/containerd-shim"):
    attempt(f"unix {path!r}", lambda: connected(socket.AF_UNIX, path), UNREACHABLE)
attempt("links", lambda: [name for _, name in socket.if_nameindex() if name != "lo"] or None)
print("tried")
