"""Reading what belongs to the person, to the orchestrating process, or to the custody of labels."""

from __future__ import annotations

from tests.hostile.attack import Attack, looted

SUBJECT = "secrets"

SEARCH = """
# Every file written since the ground was made, wherever it can be opened: no older one can hold the labels.
needles = [struct.pack("<d", T["needle"]), repr(T["needle"]).encode()]

def search(root):
    waiting = [root]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    if entry.path not in ("/proc", "/sys", "/usr") and entry.name not in ("site-packages", "lib"):
                        waiting.append(entry.path)
                elif stat.S_ISREG(facts.st_mode) and facts.st_ctime >= T["since"] and facts.st_size < 2_000_000:
                    look_into(entry.path)
            except OSError:
                continue

def look_into(path):
    data = open(path, "rb").read()
    for needle in needles:
        place = data.find(needle)
        if place >= 0:
            loot(f"labels in {path}: {data[max(0, place - 60):place + 60]}")
            if len(data) >= place + 16:
                loot(repr(struct.unpack_from("<d", data, place + 8)[0]))
"""

ATTACKS = [
    Attack("API key in the own environment", SUBJECT, """
loot(json.dumps(dict(os.environ)))
loot(open("/proc/self/environ", "rb").read())
""", looted("key"), control="plain"),
    Attack("API key in the environment of the orchestrating process", SUBJECT, """
def up(pid, steps=0):
    loot(open(f"/proc/{pid}/environ", "rb").read())
    if pid != T["orchestrator"] and steps < 6:
        up(int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]), steps + 1)
each([lambda: up(os.getppid()), lambda: loot(open(f"/proc/{T['orchestrator']}/environ", "rb").read())])
""", looted("key")),
    Attack("environment of another process of the user", SUBJECT, """
loot(open(f"/proc/{T['victim']}/environ", "rb").read())
""", looted("victim")),
    Attack("arguments of another process of the user", SUBJECT, """
loot(open(f"/proc/{T['victim']}/cmdline", "rb").read())
""", looted("argument")),
    Attack("ssh key", SUBJECT, """
loot(open(T["ssh_key"]).read())
""", looted("ssh")),
    Attack("ssh key, by other ways to its name", SUBJECT, """
key = T["ssh_key"]
each([lambda: loot(open("/proc/self/root" + key).read()),
      lambda: loot(open(f"/proc/{os.getppid()}/root" + key).read()),
      lambda: loot(open(f"/proc/{T['orchestrator']}/root" + key).read()),
      lambda: loot(open(f"/proc/{T['orchestrator']}/cwd" + "/.." * 12 + key).read()),
      lambda: loot(open(".." + "/.." * 12 + key).read()),
      lambda: loot(os.read(os.open(os.path.basename(key), os.O_RDONLY, dir_fd=os.open(os.path.dirname(key), os.O_PATH)), 4096))])
""", looted("ssh")),
    Attack("a file in the real home folder", SUBJECT, """
loot(open(T["real_home_file"]).read())
""", looted("home")),
    Attack("the original data file", SUBJECT, """
loot(open(T["data_file"]).read())
""", looted("csv")),
    Attack("artifact store and catalogue", SUBJECT, """
for parent, _, names in os.walk(T["home"]):
    for name in names:
        if "jobs" not in os.path.relpath(parent, T["home"]).split("/"):
            each([lambda: loot(open(os.path.join(parent, name), "rb").read())])
""", looted("store")),
    Attack("labels searched for where they are kept", SUBJECT, SEARCH + """
search(T["folder"])
""", looted("labels")),
    Attack("labels searched for on the whole file system", SUBJECT, SEARCH + """
# From the top, and from where the top cannot be listed but its folders can. Software is older than the labels.
for root in ("/", "/tmp", "/var", "/home", "/root", "/etc", "/opt", "/srv", "/mnt", "/run", "/dev/shm",
             os.path.dirname(sys.prefix), T["folder"], T["home"]):
    search(root)
""", looted("labels"), control=None,
        why_no_control="as `labels searched for where they are kept`; unconfined it would read other people's files"),
    Attack("an open file of the orchestrating process", SUBJECT, """
loot(open(f"/proc/{T['orchestrator']}/fd/{T['descriptor']}", "rb").read())
""", looted("descriptor")),
    Attack("an open file taken with pidfd_getfd", SUBJECT, """
handle = syscall("pidfd_open", T["orchestrator"], 0)
taken = syscall("pidfd_getfd", handle, T["descriptor"], 0)
if taken >= 0:
    loot(os.pread(taken, 4096, 0))
""", looted("descriptor")),
    Attack("a key in the kernel's keyring", SUBJECT, """
key = syscall("request_key", b"user", T["key_name"].encode(), None, 0)
held = ctypes.create_string_buffer(4096)
length = syscall("keyctl", 11, key, held, 4096) if key > 0 else -1
if length > 0:
    loot(held.raw[:length])
""", looted("keyring")),
    Attack("a job beside this one: its files", SUBJECT, """
root = os.path.join(T["home"], "jobs")
for parent, _, names in os.walk(root):
    for name in names:
        each([lambda: loot(open(os.path.join(parent, name), "rb").read())])
""", looted("sibling"), sibling=True),
    Attack("a job beside this one: its shared memory", SUBJECT, """
for name in os.listdir("/dev/shm"):
    if name.startswith("sibling-" + T["token"]):
        loot(open("/dev/shm/" + name).read())
""", looted("sibling"), sibling=True),
    Attack("a job beside this one: its folder through /proc", SUBJECT, """
for pid in T["sibling"]:
    each([lambda: loot(open(f"/proc/{pid}/cwd/../in/secret.txt").read())])
""", looted("sibling"), sibling=True),
]  # fmt: skip
