"""Talking to somebody outside."""

from __future__ import annotations

from tests.hostile.attack import Attack, heard, looted

SUBJECT = "network"

ATTACKS = [
    Attack("TCP to a loopback listener", SUBJECT, """
socket.create_connection(("127.0.0.1", T["tcp"]), 2).sendall(T["token"].encode())
""", heard),
    Attack("TCP over IPv6", SUBJECT, """
socket.create_connection(("::1", T["tcp6"]), 2).sendall(T["token"].encode())
""", heard),
    Attack("UDP to a loopback listener", SUBJECT, """
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(T["token"].encode(), ("127.0.0.1", T["udp"]))
""", heard),
    Attack("a name looked up at a resolver", SUBJECT, """
# What a lookup of TOKEN.example sends, to a resolver on loopback: no packet leaves the machine.
label = T["token"].encode()
question = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\\7example\\0" + struct.pack(">2H", 1, 1)
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.connect(("127.0.0.1", T["udp"]))
resolver.send(question)
""", heard),
    Attack("being called from outside", SUBJECT, """
door = socket.socket()
door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
door.bind(("127.0.0.1", T["back"]))
door.listen()
door.settimeout(1.5)
door.accept()[0].sendall(T["token"].encode())
time.sleep(0.1)
""", heard),
    Attack("unix socket with a path", SUBJECT, """
agent = socket.socket(socket.AF_UNIX)
agent.connect(T["unix"])
agent.sendall(T["token"].encode())
""", heard),
    Attack("unix datagram to a path", SUBJECT, """
# sendto and sendmsg need no connect.
def one():
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
each([lambda: one().sendto(T["token"].encode(), T["unix_datagram"]),
      lambda: one().sendmsg([T["token"].encode()], [], 0, T["unix_datagram"]),
      lambda: pair().sendto(T["token"].encode(), T["unix_datagram"]),
      lambda: pair().sendmsg([T["token"].encode()], [], 0, T["unix_datagram"])])
""", heard),
    Attack("abstract unix socket", SUBJECT, """
agent = socket.socket(socket.AF_UNIX)
agent.connect(T["abstract"])
agent.sendall(T["token"].encode())
""", heard),
    Attack("abstract unix datagram", SUBJECT, """
def one():
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0]
each([lambda: one().sendto(T["token"].encode(), T["abstract_datagram"]),
      lambda: one().sendmsg([T["token"].encode()], [], 0, T["abstract_datagram"]),
      lambda: pair().sendto(T["token"].encode(), T["abstract_datagram"]),
      lambda: pair().sendmsg([T["token"].encode()], [], 0, T["abstract_datagram"])])
""", heard),
    Attack("listening to loopback with a packet socket", SUBJECT, """
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("lo", 0))
wire.settimeout(0.5)
until = time.monotonic() + 0.5
while time.monotonic() < until:
    loot(wire.recv(4096))
""", looted("wire"), root_only="a packet socket needs CAP_NET_RAW"),
]  # fmt: skip
