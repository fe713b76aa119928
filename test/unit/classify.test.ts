import { describe, expect, test } from "vitest";
import { type Classified, classify } from "../../kubernetes/classify.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import { effectiveUpgrade } from "../../kubernetes/upgrade.ts";

const POD = "/api/v1/namespaces/demo/pods/shell";
const VMI = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm1";
const VM = "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachines/vm1";
const WS = "websocket";
const SPDY = "SPDY/3.1";

function classifyUrl(method: string, path: string, upgrade: string | null): Classified {
  return classify(method, rawRequestTarget(`https://kube.example.org${path}`), upgrade);
}

describe("requests as real clients make them", () => {
  test.each<[string, string, string | null, object]>([
    // kubectl 1.32 and 1.36, captured
    [
      "GET",
      `${POD}/exec?command=sh&command=-c&command=echo+out%3B+echo+err+%3E%262%3B+exit+3&container=shell&stderr=true&stdout=true`,
      WS,
      {
        command: ["sh", "-c", "echo out; echo err >&2; exit 3"],
        container: "shell",
        stdout: true,
        stderr: true,
        tty: false,
      },
    ],
    [
      "GET",
      `${POD}/exec?command=sh&container=shell&stdin=true&stdout=true&tty=true`,
      WS,
      { tty: true, stdin: true, stderr: false },
    ],
    [
      "GET",
      `${POD}/exec?command=tar&command=-xmf&command=-&command=-C&command=%2Ftmp&container=shell&stderr=true&stdin=true&stdout=true`,
      WS,
      { command: ["tar", "-xmf", "-", "-C", "/tmp"] },
    ],
    [
      "GET",
      `${POD}/attach?container=logger&stderr=true&stdout=true`,
      WS,
      { sessionKind: "attach", container: "logger", command: [] },
    ],
    ["GET", `${POD}/portforward`, WS, { sessionKind: "port-forward", ports: [], container: undefined, tty: false }],
    [
      "POST",
      `${POD}/exec?command=true&container=nope&stderr=true&stdout=true`,
      SPDY,
      { command: ["true"], container: "nope" },
    ],
    // Python's client
    [
      "GET",
      `${POD}/exec?command=sh&stderr=True&stdin=False&stdout=True&tty=False`,
      WS,
      { stderr: true, stdin: false, stdout: true, tty: false, container: undefined },
    ],
    // @kubernetes/client-node
    [
      "GET",
      `${POD}/exec?stdout=true&stderr=true&stdin=false&tty=false&command=sh&command=-c&command=echo%20out&container=shell`,
      WS,
      { command: ["sh", "-c", "echo out"], stdin: false },
    ],
    ["GET", `${POD}/portforward?ports=8080`, WS, { ports: [8080] }],
    // Headlamp
    [
      "GET",
      `${POD}/exec?container=shell&command=sh&stdin=1&stderr=1&stdout=1&tty=1`,
      WS,
      { tty: true, stdin: true, stdout: true, stderr: true },
    ],
    ["GET", `${VMI}/console`, WS, { sessionKind: "console", tty: true, stdin: true, stdout: true }],
    ["GET", `${VMI}/vnc`, WS, { sessionKind: "vnc", tty: false }],
    ["GET", `${VM}/portforward/22/tcp`, WS, { sessionKind: "vm-port-forward", ports: [22] }],
  ])("%s %s opens a session", (method, path, upgrade, expected) => {
    const classified = classifyUrl(method, path, upgrade);
    expect(classified).toMatchObject({
      kind: "session",
      session: { namespace: "demo", ...expected },
      transport: upgrade === WS ? "websocket" : "spdy",
    });
  });
});

describe("a path, method and Upgrade header that open a session", () => {
  test.each<[string, string, string, string, string]>([
    ["exec", "websocket", "GET", `${POD}/exec`, "websocket"],
    ["exec", "websocket", "GET", `${POD}/exec`, "WebSocket"],
    ["exec", "websocket", "GET", `${POD}/exec`, " WEBSOCKET "],
    ["exec", "websocket", "GET", `${POD}/exec/`, WS],
    ["exec", "websocket", "GET", "/api/v1/namespaces/demo/pods/shell/%65xec", WS],
    ["exec", "websocket", "GET", "/api/v1/namespaces/demo/%70%6fds/shell/e%78%65c", WS],
    ["exec", "websocket", "GET", "/%61pi/v1/namespaces/demo/pods/shell/exec", WS],
    ["exec", "spdy", "POST", `${POD}/exec`, "SPDY/3.1"],
    ["exec", "spdy", "POST", `${POD}/exec`, "spdy/3.1"],
    ["exec", "spdy", "GET", `${POD}/exec`, "Spdy/3.1"],
    ["exec", "spdy", "POST", `${POD}/exec`, "spdy/3.1, SPDY/3.1"],
    ["exec", "spdy", "GET", `${POD}/exec`, "websocket, SPDY/3.1"],
    ["exec", "spdy", "POST", `${POD}/exec`, "xSPDY/3.1y"],
    ["attach", "websocket", "GET", `${POD}/attach`, WS],
    ["attach", "spdy", "POST", `${POD}/attach`, SPDY],
    ["port-forward", "websocket", "GET", `${POD}/portforward`, WS],
    ["port-forward", "spdy", "POST", `${POD}/portforward`, SPDY],
    ["console", "websocket", "GET", `${VMI}/console`, WS],
    ["vnc", "websocket", "GET", `${VMI}/vnc`, WS],
    ["usbredir", "websocket", "GET", `${VMI}/usbredir`, WS],
    ["vsock", "websocket", "GET", `${VMI}/vsock?port=1024&tls=true`, WS],
    ["vm-port-forward", "websocket", "GET", `${VMI}/portforward/8080`, WS],
    ["vm-port-forward", "websocket", "GET", `${VMI}/portforward/53/udp`, WS],
    ["vm-port-forward", "websocket", "GET", `${VM}/portforward/22`, WS],
    ["console", "websocket", "GET", VMI.replace("/v1/", "/v1alpha3/").concat("/console"), WS],
    ["console", "websocket", "GET", VMI.replace("/v1/", "/v1beta1/").concat("/console"), WS],
  ])("%s by %s: %s %s, Upgrade %s", (sessionKind, transport, method, path, upgrade) => {
    expect(classifyUrl(method, path, upgrade)).toMatchObject({ kind: "session", session: { sessionKind }, transport });
  });
});

describe("the query of a session", () => {
  test.each<[string, object]>([
    ["exec", { command: [], container: undefined, tty: false, stdin: false, stdout: false, stderr: false, ports: [] }],
    ["exec?command=", { command: [""] }],
    ["exec?command=a&container=c&command=b", { command: ["a", "b"], container: "c" }],
    ["exec?container=first&container=second", { container: "first" }],
    ["exec?container=&container=second", { container: undefined }],
    ["exec?tty", { tty: true }],
    ["exec?tty=", { tty: true }],
    ["exec?tty=yes", { tty: true }],
    ["exec?tty=FALSE", { tty: false }],
    ["exec?tty=0&tty=1", { tty: false }],
    ["exec?TTY=1&Command=x", { tty: false, command: [] }],
    ["exec?command=%ff", { command: ["\ufffd"] }],
    ["exec?command=%EF%BB%BFx", { command: ["\ufeffx"] }],
    ["exec?command=a%3Bb%26c%25", { command: ["a;b&c%"] }],
    ["exec?%63ommand=id", { command: ["id"] }],
    ["exec?ports=80", { ports: [] }],
    ["attach?command=id&tty=1", { command: [], tty: true }],
    ["portforward?ports=80&ports=443,8443", { ports: [80, 443, 8443] }],
    [
      "portforward?ports=65535&tty=1&container=x&command=y",
      { ports: [65535], tty: false, container: undefined, command: [] },
    ],
  ])("%s", (rest, expected) => {
    expect(classifyUrl("GET", `${POD}/${rest}`, WS)).toMatchObject({ kind: "session", session: expected });
  });

  test("the port of a vsock has 32 bits", () => {
    const classified = classifyUrl("GET", `${VMI}/vsock?port=4294967295`, WS);
    expect(classified).toMatchObject({ kind: "session", session: { pod: "vm1", ports: [4294967295] } });
  });
});

describe("API requests", () => {
  test.each<[string, string, string]>([
    ["GET", "/", "get"],
    ["GET", "/version", "get"],
    ["GET", "/apis", "get"],
    ["GET", "/apis/", "get"],
    ["GET", "/openapi/v3/apis/apps/v1?hash=ABC", "get"],
    ["POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "create"],
    ["GET", "/api/v1/namespaces/demo/pods?limit=500", "list"],
    ["GET", "/api/v1/namespaces/demo/pods?watch=true&resourceVersion=5", "watch"],
    ["GET", "/api/v1/watch/namespaces/demo/pods", "watch"],
    ["GET", POD, "get"],
    ["HEAD", POD, "get"],
    ["PUT", `${POD}/status`, "update"],
    ["PATCH", `${POD}/ephemeralcontainers`, "patch"],
    ["DELETE", POD, "delete"],
    ["DELETE", "/api/v1/namespaces/demo/pods", "deletecollection"],
    ["GET", `${POD}/log?follow=true`, "get"],
    ["POST", `${POD}/eviction`, "create"],
    ["GET", `${POD}/proxy/`, "get"],
    ["GET", `${POD}/proxy//a//b?x=1;y=2`, "get"],
    ["OPTIONS", `${POD}/proxy/api`, ""],
    ["POST", "/api/v1/namespaces/demo/services/https:web:443/proxy/api//x", "create"],
    ["GET", "/api/v1/namespaces/demo/services/https%3Aweb%3A443/proxy/", "get"],
    ["GET", "/api/v1/namespaces/demo/services/web/proxy/api/v1/namespaces/x/pods/y/exec", "get"],
    ["GET", "/api/v1/namespaces/demo/services/web/proxy/nodes/n1/proxy", "get"],
    ["GET", "/api/v1/nodes/n1", "get"],
    ["GET", "/api/v1/nodes/proxy", "get"],
    ["GET", "/apis/metrics.k8s.io/v1beta1/nodes", "list"],
    ["GET", `${VMI}/vnc/screenshot?moveCursor=true`, "get"],
    ["GET", `${VMI}/guestosinfo`, "get"],
    ["PUT", `${VM}/start`, "update"],
    ["GET", `${VM}/console`, "get"],
    ["GET", "/apis/example.org/v1/namespaces/demo/pods/x/exec", "get"],
    ["GET", "/api/v1/namespaces/exec", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/exec", "get"],
    ["GET", "/api/v1/namespaces/demo/configmaps/x/exec", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/x/constructor", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/x/__proto__", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/x/exec;y", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/x/EXEC", "get"],
    ["GET", "/api/v1/namespaces/demo/pods/x/%EF%BB%BFexec", "get"],
    ["GET", "/API/v1/namespaces/demo/pods/x/exec", "get"],
  ])("%s %s is an API request with the verb %j", (method, path, verb) => {
    expect(classifyUrl(method, path, null)).toMatchObject({ kind: "rest", info: { verb } });
  });
});

describe("upgrades that only read", () => {
  test.each([
    ["/api/v1/namespaces/demo/pods?watch=true"],
    ["/api/v1/pods?watch=1&resourceVersion=5"],
    ["/api/v1/pods?watch=1&fieldSelector=metadata.name=shell"],
    ["/apis/apps/v1/deployments?watch=1"],
    ["/api/v1/watch/namespaces/demo/pods"],
    ["/api/v1/watch/namespaces/demo/pods/shell"],
    [`${POD}/log?follow=true&container=shell`],
  ])("GET %s by WebSocket is a stream", (path) => {
    expect(classifyUrl("GET", path, WS)).toMatchObject({ kind: "stream" });
  });
});

describe("refused: a session without the right upgrade or method", () => {
  test.each<[string, string, string | null, string]>([
    ["GET", `${POD}/exec?command=id`, null, "exec requires a connection upgrade"],
    ["POST", `${POD}/exec?command=id`, null, "exec requires a connection upgrade"],
    ["GET", `${POD}/attach`, null, "attach requires a connection upgrade"],
    ["POST", `${POD}/portforward`, null, "portforward requires a connection upgrade"],
    ["DELETE", `${POD}/exec`, null, "exec requires a connection upgrade"],
    ["OPTIONS", `${POD}/exec`, null, "exec requires a connection upgrade"],
    ["POST", `${POD}/exec`, WS, "requires the method GET"],
    ["PUT", `${POD}/exec`, WS, "requires the method GET"],
    ["PATCH", `${POD}/exec`, WS, "requires the method GET"],
    ["DELETE", `${POD}/exec`, WS, "requires the method GET"],
    ["HEAD", `${POD}/exec`, WS, "requires the method GET"],
    ["OPTIONS", `${POD}/attach`, WS, "requires the method GET"],
    ["PUT", `${POD}/exec`, SPDY, "POST or GET"],
    ["HEAD", `${POD}/portforward`, SPDY, "POST or GET"],
    ["DELETE", `${POD}/attach`, SPDY, "POST or GET"],
    ["GET", `${VMI}/console`, null, "console requires a connection upgrade"],
    ["GET", `${VMI}/vnc`, null, "vnc requires a connection upgrade"],
    ["GET", `${VM}/portforward/22`, null, "portforward requires a connection upgrade"],
    ["POST", `${VMI}/console`, WS, "requires the method GET"],
    ["GET", `${VMI}/console`, SPDY, "requires a WebSocket"],
    ["POST", `${VMI}/vnc`, SPDY, "requires a WebSocket"],
    ["GET", `${POD}/exec`, "h2c", "neither WebSocket nor SPDY/3.1"],
    ["GET", `${POD}/exec`, "", "neither WebSocket nor SPDY/3.1"],
    ["GET", `${POD}/exec`, "websocket, websocket", "neither WebSocket nor SPDY/3.1"],
    ["GET", `${POD}/exec`, "websocket, h2c", "neither WebSocket nor SPDY/3.1"],
    ["GET", `${POD}/exec`, "websockets", "neither WebSocket nor SPDY/3.1"],
    ["POST", `${POD}/exec`, "SPDY/3", "neither WebSocket nor SPDY/3.1"],
  ])("%s %s, Upgrade %s", (method, path, upgrade, reason) => {
    expect(classifyUrl(method, path, upgrade)).toMatchObject({
      kind: "refused",
      status: 400,
      reason: expect.stringContaining(reason),
      info: expect.anything(),
    });
  });
});

describe("an upgrade that the API server ignores", () => {
  test.each([
    ["GET", "/version", "h2c"],
    ["GET", POD, "TLS/1.3"],
    ["POST", "/api/v1/namespaces/demo/pods", "h2c"],
    ["PATCH", POD, "HTTP/2.0"],
    ["GET", "/api/v1/namespaces/demo/pods?watch=true", "h2c"],
    ["GET", `${POD}/log`, "websocket, h2c"],
    ["GET", `${POD}/proxy/`, "h2c"],
  ])("does not matter to an API request: %s %s, Upgrade %s", (method, path, upgrade) => {
    expect(classifyUrl(method, path, upgrade)).toEqual(classifyUrl(method, path, null));
    expect(classifyUrl(method, path, upgrade).kind).toBe("rest");
  });
});

describe("an Upgrade header", () => {
  const upgradeOf = (headers: Record<string, string>) => effectiveUpgrade(new Headers(headers));

  test.each([
    { Connection: "Upgrade" },
    { Connection: "upgrade" },
    { Connection: "keep-alive, Upgrade" },
    { Connection: "Upgrade, HTTP2-Settings" },
    { Connection: "keep-alive ,\tUPGRADE , x" },
    { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
    { Connection: "keep-alive", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" },
  ])("counts where Connection names it, or a WebSocket's handshake came along: %j", (others) => {
    expect(upgradeOf({ Upgrade: WS, ...others })).toBe(WS);
  });

  test.each([
    {},
    { Connection: "close" },
    { Connection: "keep-alive" },
    { Connection: "x-upgrade" },
    { Connection: "" },
  ])("has no effect otherwise: %j", (others) => {
    expect(upgradeOf({ Upgrade: WS, ...others })).toBeNull();
  });

  test("is nothing where there is none", () => {
    expect(upgradeOf({ Connection: "Upgrade" })).toBeNull();
  });
});

describe("refused: a session at a path or with a query that Kubernetes does not serve", () => {
  test.each<[string, string]>([
    [`${POD}/exec/extra`, "does not serve"],
    [`${POD}/exec/proxy`, "does not serve"],
    ["/api/v1/pods/shell/exec", "does not serve"],
    ["/api/v2/namespaces/demo/pods/shell/exec", "does not serve"],
    ["/api/v1/watch/namespaces/demo/pods/shell/exec", "does not serve"],
    ["/api/v1/watch/namespaces/demo/pods/shell/attach", "does not serve"],
    [`${VMI}/console/extra`, "does not serve"],
    [`${VMI}/vnc/other`, "does not serve"],
    [`${VMI}/vnc/screenshot/x`, "does not serve"],
    [`${VMI}/portforward`, "does not serve"],
    [`${VMI}/portforward/22/sctp`, "does not serve"],
    [`${VMI}/portforward/22/tcp/x`, "does not serve"],
    [VMI.replace("/v1/", "/v2/").concat("/console"), "does not serve"],
    ["/apis/subresources.kubevirt.io/v1/virtualmachineinstances/vm1/console", "does not serve"],
    [`${POD}/exec?command=a;b`, "raw semicolon"],
    // False for EqualFold, true for ToLower. Kubernetes uses both.
    [`${POD}/exec?command=a&tty=fal%C5%BFe`, "spells `false` with U+017F"],
    ["/api/v1/namespaces/demo/pods?fieldSelector=x&watch=FAL%C5%BFE", "spells `false` with U+017F"],
    [`${POD}/exec?command=id&tty=%zz`, "invalid percent-encoding"],
    [`${POD}/portforward?ports=http`, "port"],
    [`${POD}/portforward?ports=`, "port"],
    [`${POD}/portforward?ports=80,`, "port"],
    [`${POD}/portforward?ports=-1`, "port"],
    [`${POD}/portforward?ports=65536`, "port"],
    [`${POD}/portforward?ports=8e1`, "port"],
    [`${VMI}/portforward/http`, "port"],
    [`${VMI}/portforward/65536`, "port"],
    [`${VMI}/vsock?port=4294967296`, "port"],
  ])("GET %s by WebSocket", (path, reason) => {
    expect(classifyUrl("GET", path, WS)).toMatchObject({
      kind: "refused",
      status: 400,
      reason: expect.stringContaining(reason),
    });
  });
});

describe("refused: the legacy /proxy/ prefix, with and without an upgrade", () => {
  test.each<[string, string, string]>([
    ["GET", "/api/v1/proxy/nodes/n1/exec/demo/shell/shell", "legacy /proxy/"],
    ["GET", "/api/v1/proxy/namespaces/demo/pods/shell/exec", "legacy /proxy/"],
    ["GET", "/api/v1/proxy/namespaces/demo/services/web/x", "legacy /proxy/"],
    ["GET", "/apis/example.org/v1/proxy/widgets/x", "legacy /proxy/"],
  ])("%s %s", (method, path, reason) => {
    for (const upgrade of [null, WS, SPDY, "h2c"]) {
      expect(classifyUrl(method, path, upgrade)).toMatchObject({
        kind: "refused",
        status: 403,
        reason: expect.stringContaining(reason),
      });
    }
  });
});

describe("a session with a workload, through the proxy subresource of its pod or service", () => {
  test.each([
    [`${POD}/proxy/ws`, "demo", "x"],
    [`${POD}:8080/proxy`, "demo", "x:8080"],
    ["/api/v1/namespaces/demo/services/web/proxy/socket", "demo", "services/web"],
    ["/api/v1/namespaces/demo/services/https:web:443/proxy/x/pods/y/exec", "demo", "services/https:web:443"],
  ])("GET %s", (path, namespace, pod) => {
    const expected = { sessionKind: "proxy", namespace, pod: pod.replace("x", POD.split("/").at(-1) ?? ""), ports: [] };
    expect(classifyUrl("GET", path, WS)).toMatchObject({ kind: "session", transport: "websocket", session: expected });
  });
});

describe("refused: any other upgrade", () => {
  test.each<[string, string, string, string]>([
    ["POST", `${POD}/proxy/ws`, WS, "pods/proxy"],
    ["GET", `${POD}/proxy/ws`, SPDY, "pods/proxy"],
    ["PUT", "/api/v1/namespaces/demo/services/web/proxy/x/pods/y/exec", WS, "services/proxy"],
    ["GET", "/api/v1/services/web/proxy/socket", WS, "services/proxy"],
    ["GET", "/api/v1/nodes/n1/proxy/exec/demo/shell/shell?command=id", WS, "nodes/proxy"],
    ["GET", "/api/v1/nodes/https:n1:10250/proxy/pods", WS, "nodes/proxy"],
    ["GET", "/api/v1/namespaces/demo/nodes/n1/proxy/pods", WS, "nodes/proxy"],
    ["POST", "/api/v1/nodes/n1:10250/proxy/run/demo/shell/shell", SPDY, "nodes/proxy"],
    ["POST", "/api/v1/namespaces/demo/services/web/proxy/socket", SPDY, "services/proxy"],
    ["GET", "/apis/example.org/v1/namespaces/demo/pods/x/exec", WS, "pods/exec of example.org"],
    [
      "GET",
      "/apis/cluster.karmada.io/v1alpha1/clusters/c/proxy/api/v1/namespaces/d/pods/p/exec",
      WS,
      "clusters/proxy of cluster.karmada.io",
    ],
    ["GET", "/api/v1/namespaces/demo/configmaps/x/exec", WS, "configmaps/exec"],
    ["GET", "/api/v1/namespaces/demo/pods/x/constructor", WS, "pods/constructor"],
    ["GET", "/api/v1/namespaces/demo/pods/x/exec;y", WS, "pods/exec;y"],
    ["GET", "/api/v1/namespaces/demo/pods/x/EXEC", WS, "pods/EXEC"],
    ["GET", POD, WS, "pods"],
    ["GET", "/api/v1/namespaces/demo/pods", WS, "pods"],
    ["GET", "/api/v1/namespaces/demo/pods?watch=false", WS, "pods"],
    ["GET", "/api/v1/namespaces/demo/pods?watch=true", SPDY, "pods"],
    ["POST", "/api/v1/namespaces/demo/pods?watch=true", WS, "pods"],
    ["HEAD", "/api/v1/namespaces/demo/pods?watch=true", WS, "pods"],
    ["POST", "/api/v1/watch/namespaces/demo/pods", WS, "pods"],
    ["GET", `${POD}/log`, SPDY, "pods/log"],
    ["POST", `${POD}/log`, WS, "pods/log"],
    ["GET", `${POD}/log/x`, WS, "pods/log"],
    ["GET", "/api/v1/pods/shell/log", WS, "pods/log"],
    ["GET", "/apis/example.org/v1/namespaces/demo/pods/x/log", WS, "pods/log of example.org"],
    ["GET", `${VMI}/vnc/screenshot`, WS, "virtualmachineinstances/vnc"],
    ["GET", `${VM}/console`, WS, "virtualmachines/console"],
    [
      "GET",
      "/apis/subresources.kubevirt.io/v1/watch/namespaces/demo/virtualmachines/vm1/console",
      WS,
      "virtualmachines/console",
    ],
    ["GET", "/version", WS, "only for Kubernetes resources"],
    ["GET", "/", WS, "only for Kubernetes resources"],
    ["GET", "/apis/apps/v1", WS, "only for Kubernetes resources"],
    ["GET", "/API/v1/namespaces/demo/pods/x/exec", WS, "only for Kubernetes resources"],
    ["GET", "/exec/demo/shell/shell", WS, "only for Kubernetes resources"],
    ["POST", "/run/demo/shell/shell", SPDY, "only for Kubernetes resources"],
  ])("%s %s, Upgrade %s", (method, path, upgrade, reason) => {
    expect(classifyUrl(method, path, upgrade)).toMatchObject({
      kind: "refused",
      status: 403,
      reason: expect.stringContaining(reason),
    });
  });
});

describe("refused with any method and upgrade: paths that two parsers read differently", () => {
  test.each([
    ["/api/v1/namespaces/demo/pods/shell%2Fexec"],
    ["/api/v1/namespaces/demo/pods/shell%2fexec"],
    ["/api/v1/namespaces/demo/pods/shell%252Fexec"],
    ["/api/v1/namespaces/demo/pods/x%2F..%2Fshell/exec"],
    ["/api/v1/namespaces/demo/pods/shell/./exec"],
    ["/api/v1/namespaces/demo/pods/shell/log/../exec"],
    ["/api/v1/namespaces/demo/pods/shell/log/%2e%2e/exec"],
    ["/api/v1/namespaces/demo/pods/shell/log/.%2E/exec"],
    ["/api/v1/namespaces/demo/pods/shell/log/%252e%252e/exec"],
    ["/api/v1/namespaces/demo/pods/shell//exec"],
    ["//api/v1/namespaces/demo/pods/shell/exec"],
    ["/api/v1/namespaces/demo/pods/shell/exec//"],
    ["/api/v1/namespaces/demo/pods/shell\\exec"],
    ["/api/v1/namespaces/demo/pods/shell/%5Cexec"],
    ["/api/v1/namespaces/demo/pods/shell/exec%00"],
    ["/api/v1/namespaces/demo/pods/shell/exec%0a"],
    ["/api/v1/namespaces/demo/pods/shell/ex%ffec"],
    ["/api/v1/namespaces/demo/pods/shell/%C0%AFexec"],
    ["/api/v1/namespaces/demo/pods/shell/exec%"],
    ["/api/v1/namespaces/demo/services/web/proxy/../../../pods/shell/exec"],
    ["/api/v1/namespaces/demo/services/web/proxy/%2e%2e/%2e%2e/%2e%2e/pods/shell/exec"],
    ["/api/v1/namespaces/demo/services/web/proxy/..%2f..%2f..%2fpods%2fshell%2fexec"],
    ["/api/v1/namespaces/demo/services/web/proxy/%252e%252e/pods/shell/exec"],
    ["/-/../api/v1/namespaces/demo/pods/shell/exec"],
    ["/api/v1/watch"],
  ])("%s", (path) => {
    for (const [method, upgrade] of [
      ["GET", null],
      ["GET", WS],
      ["POST", SPDY],
      ["PUT", WS],
    ] as const) {
      expect(classifyUrl(method, path, upgrade)).toMatchObject({ kind: "refused", status: 400 });
    }
  });
});

describe("refused: methods that the API server does not serve", () => {
  test.each(["get", "Get", "CONNECT", "TRACE", "PROPFIND", "WATCH", ""])("%j", (method) => {
    expect(classifyUrl(method, POD, null)).toMatchObject({ kind: "refused", status: 405 });
    expect(classifyUrl(method, `${POD}/exec`, WS)).toMatchObject({ kind: "refused", status: 405 });
  });
});

test("a reason never contains the query, which may have secrets", () => {
  for (const path of [`${POD}/exec?command=s3cret;`, `${POD}/portforward?ports=s3cret`, `${POD}?x=s3cret`]) {
    const classified = classifyUrl("GET", path, WS);
    expect(classified).toMatchObject({ kind: "refused", reason: expect.not.stringContaining("s3cret") });
  }
});
