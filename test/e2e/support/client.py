"""Uses python3-kubernetes through Sallyport and prints a JSON line per step: client.py KUBECONFIG CONTEXT"""

import json
import select
import ssl
import sys
from urllib.parse import urlsplit

import websocket
from kubernetes import __version__, client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream, ws_client


class BufferAwareSelect:
    """Replaces `select` in the library, which misses data that OpenSSL has read from the socket already.

    Over TLS the library hangs when two frames arrive in one record, as they do from a busy server.
    """

    POLLIN = select.POLLIN

    @staticmethod
    def is_buffered(socket):
        tls = getattr(socket, "sock", socket)
        return isinstance(tls, ssl.SSLSocket) and tls.pending() > 0

    @classmethod
    def select(cls, readers, writers, errors):
        buffered = [reader for reader in readers if cls.is_buffered(reader)]
        return (buffered, [], []) if buffered else select.select(readers, writers, errors)

    class poll:
        def __init__(self):
            self.poller = select.poll()

        def register(self, socket, events):
            self.socket = socket
            self.poller.register(socket, events)

        def unregister(self, socket):
            self.poller.unregister(socket)

        def poll(self, timeout):
            if BufferAwareSelect.is_buffered(self.socket):
                return [(self.socket.fileno(), select.POLLIN)]
            return self.poller.poll(timeout)


ws_client.select = BufferAwareSelect


def connect_as_today(self, url, *, connect=websocket.WebSocket.connect, **options):
    """Names the origin as websocket-client 1.3 and later do.

    Older ones name an http: origin for an https: address. A page without TLS would, too, so the edge refuses it.
    """
    address = urlsplit(url)
    if address.scheme == "wss":
        options["origin"] = f"https://{address.netloc}"
    return connect(self, url, **options)


websocket.WebSocket.connect = connect_as_today
api = client.CoreV1Api(config.new_client_from_config(sys.argv[1], context=sys.argv[2]))
NAMESPACE = "demo"


def report(step, **facts):
    print(json.dumps({"what": step, **facts}), flush=True)


def run(command, **options):
    all_options = {"stdout": True, "stderr": True, "stdin": False, "tty": False, **options}
    return stream(api.connect_get_namespaced_pod_exec, "shell", NAMESPACE, command=command, **all_options)


def listing():
    report("list", version=__version__, pods=[pod.metadata.name for pod in api.list_namespaced_pod(NAMESPACE).items])


def exec_with_stdin():
    script = "echo python-out; echo python-err >&2; read word; echo got $word; exit 5"
    session = run(["sh", "-c", script], stdin=True, _preload_content=False)
    session.write_stdin("typed\n")
    session.run_forever(timeout=60)
    report("exec", stdout=session.read_stdout(), stderr=session.read_stderr(), code=session.returncode)


def watching():
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(api.list_namespaced_config_map, NAMESPACE, timeout_seconds=60):
        kind, name = event["type"], event["object"].metadata.name
        if not seen:
            api.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "seen-by-python"}})
        seen.append(kind + " " + name)
        if seen[-1] == "ADDED seen-by-python":
            api.delete_namespaced_config_map(name, NAMESPACE)
        if kind == "DELETED":
            watcher.stop()
    report("watch", seen=seen)


def forwarding():
    forward = portforward(api.connect_get_namespaced_pod_portforward, "echo", NAMESPACE, ports="8080")
    socket = forward.socket(8080)
    socket.setblocking(True)
    socket.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
    page = b""
    while chunk := socket.recv(4096):
        page += chunk
    report("port-forward", page=page.decode(), error=forward.error(8080))


def impersonating():
    api.api_client.set_default_header("Impersonate-User", "bob@example.com")
    listing()


for step in [listing, exec_with_stdin, watching, forwarding, impersonating]:
    try:
        step()
    except ApiException as error:
        report("refused", act=step.__name__, code=error.status, reason=error.reason, body=error.body)
