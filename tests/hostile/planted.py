"""What a program leaves behind for those who look at its outputs, and for its own receipt."""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.attack import Attack, Evidence, Ran, looted
from tests.hostile.ground import Ground

SUBJECT = "collector"

MOST_FILES = 5000


def _taken(is_it: Callable[[str], bool], what: str) -> Evidence:
    def evidence(ground: Ground, ran: Ran) -> str:
        return f"{what} was taken among the outputs" if any(map(is_it, ran.outputs)) else ""

    return evidence


def _executed(ground: Ground, ran: Ran) -> str:
    if (ground.place / "proof").exists():
        return "planted code ran outside the job"
    return "planted code ran in the next job" if ran.holds(f"{ground.token}-note") else ""


def _target_changed(ground: Ground, ran: Ran) -> str:
    same = ground.content("target") == ground.secrets["outside"]
    return "" if same else "a file outside was written by the process that watches over the job"


_PLANT = """
CODE = f"print({T['token'] + '-note'!r})\\nopen({T['place'] + '/proof'!r}, 'w').close()\\n"
def plant(folder, name, code=CODE):
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, name), "w").write(code)
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
HOME = os.path.expanduser("~")
"""

ATTACKS = [
    Attack("a link among the outputs", SUBJECT, """
os.symlink(T["place"] + "/target", "predictions.npy")
""", looted("outside"), control="plain"),
    Attack("a linked folder among the outputs", SUBJECT, """
os.symlink(T["place"] + "/folder", "model")
""", looted("outside"), control="plain"),
    Attack("a hard link among the outputs", SUBJECT, """
os.link(T["place"] + "/link", "predictions.npy")
""", looted("outside"), control="plain"),
    Attack("a pipe among the outputs", SUBJECT, """
os.mkfifo("predictions.npy")
""", _taken(lambda name: name == "predictions.npy", "a pipe"), control="plain"),
    Attack("a device among the outputs", SUBJECT, """
os.mknod("predictions.npy", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
""", _taken(lambda name: name == "predictions.npy", "an endless device"), control="plain",
        root_only="making a device needs CAP_MKNOD"),
    Attack("names that are no names", SUBJECT, """
for name in ("a\\nb", "-rf", "$(id)", "a b", "\\u202egnp.exe", "x" * 200, "..." , "a;b", "<script>"):
    each([lambda: open(name, "w").write("x")])
""", _taken(lambda name: not name.isascii() or len(name) > 80 or any(c in name for c in "\n$ ;<"), "an odd name"), control="plain"),
    Attack("more files than anybody wants", SUBJECT, f"""
for number in range({MOST_FILES + 50}):
    os.close(os.open(f"f{{number}}", os.O_CREAT | os.O_WRONLY))
""", lambda ground, ran: f"{len(ran.outputs)} files were taken" if len(ran.outputs) > MOST_FILES else "", control="plain"),
    Attack("a file that only claims to be large", SUBJECT, """
import resource
print(resource.getrlimit(resource.RLIMIT_FSIZE))
with open("predictions.npy", "wb") as file:
    file.truncate(50 * 2**30)
""", _taken(lambda name: name == "predictions.npy", "a file of 50 GB"), control="plain", limits={"disk_mb": 60}),
    Attack("a folder many thousand levels deep", SUBJECT, """
for _ in range(2200):  # a path beyond what the system can name in one piece
    os.mkdir("d")
    os.chdir("d")
os.chdir(os.path.dirname(os.path.abspath(sys.argv[0])) + "/../../out" if "run" in sys.argv[0] else "/")
print("DEEP")
""", lambda ground, ran: "the executor itself failed" if ran.status == "raised" else "", control=None,
        why_no_control="the control's folder would have to be removed by hand", limits={"disk_mb": 600}),
    Attack("a module of a library's name", SUBJECT, _PLANT + """
for folder in (".", "..", "../tmp", "../in", HOME):
    each([lambda name=name: plant(folder, name) for name in ("threadpoolctl.py", "colorsys.py")])
""", _executed, control="plain", follow="""
import colorsys, threadpoolctl
"""),
    Attack("start-up files of the interpreter", SUBJECT, _PLANT + """
user_site = f"{HOME}/.local/lib/python{VERSION}/site-packages"
each([lambda: plant(".", "sitecustomize.py"), lambda: plant(user_site, "usercustomize.py"),
      lambda: plant(user_site, "evil.pth", "import usercustomize\\n"),
      lambda: plant(os.path.join(T["home"], "jobs", "cache"), "sitecustomize.py")])
""", _executed, control="plain", follow="""
each([lambda: __import__("subprocess").run([sys.executable, "-c", "import usercustomize"])])
try:
    import sitecustomize
    print(open(sitecustomize.__file__).read())
except ImportError:
    pass
"""),
    Attack("a pickle that runs code", SUBJECT, _PLANT + """
import pickle
class Bomb:
    def __reduce__(self):
        return exec, (CODE,)
for name in ("predictions.npy", "model.pkl", "result.json"):
    pickle.dump(Bomb(), open(name, "wb"))
""", _executed, control="plain", follow="""
import pickle
each([lambda: pickle.load(open("model.pkl", "rb"))])
"""),
    Attack("links where the log and the receipt are written", SUBJECT, """
for name in ("log.txt", "receipt.json", "receipt.json.tmp", "collected.json", "collected.json.tmp", "copy"):
    each([lambda: os.symlink(T["place"] + "/target", "../" + name)])
print("written by someone else")
""", _target_changed),
    Attack("a receipt of one's own", SUBJECT, """
receipt = json.dumps({"version": 1, "key": "forged", "status": "done", "peak_mb": 4242.0})
each([lambda name=name: open("../" + name, "w").write(receipt) for name in ("receipt.json", "job.json", "collected.json")])
for name in ("log.txt", "receipt.json", "job.json"):
    each([lambda: os.chmod("../" + name, 0o777)])
""", lambda ground, ran: "the job's own folder holds a forged file" if any(
        "forged" in path.read_text(errors="replace") for path in ground.forgeries) else ""),
]  # fmt: skip
