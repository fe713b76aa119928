import { describe, expect, test } from "vitest";
import type { PodFacts } from "../../audit/pod-facts.ts";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { MAX_READ_BYTES, podFacts, unreadFormat } from "../../worker/request-audit/pod-facts.ts";
import { writesPods } from "../../worker/request-audit/pod-resources.ts";

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/apply-patch+yaml";
const JSON_PATCH = "application/json-patch+json";

function read(body: unknown, contentType: string | null = JSON_TYPE): PodFacts {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return podFacts(new TextEncoder().encode(text), contentType);
}

const NOTHING = { images: [], more_images: 0, privileged: false, host_namespaces: [], service_account: null };
const facts = (some: object) => ({ ...NOTHING, ...some });

const SPEC = {
  hostNetwork: true,
  hostPID: false,
  serviceAccountName: "builder",
  initContainers: [{ name: "a", image: "init:1" }],
  containers: [
    { name: "b", image: "app:1", securityContext: { privileged: false } },
    { name: "c", image: "app:1" },
  ],
};
const SPEC_FACTS = facts({ images: ["app:1", "init:1"], host_namespaces: ["network"], service_account: "builder" });

describe("what a body asks for", () => {
  test.each([
    ["a pod", { kind: "Pod", spec: SPEC }],
    ["a deployment", { kind: "Deployment", spec: { replicas: 1, template: { spec: SPEC } } }],
    ["a cron job", { kind: "CronJob", spec: { jobTemplate: { spec: { template: { spec: SPEC } } } } }],
    ["a pod template", { kind: "PodTemplate", template: { spec: SPEC } }],
  ])("is read in %s", (_, body) => {
    expect(read(body)).toEqual(SPEC_FACTS);
    expect(read(body, YAML_TYPE)).toEqual(SPEC_FACTS);
    expect(read(body, null)).toEqual(SPEC_FACTS);
    expect(read(body, "application/strategic-merge-patch+json; charset=utf-8")).toEqual(SPEC_FACTS);
  });

  test("is read in an ephemeral container, as kubectl debug patches it", () => {
    const container = { name: "debugger", image: "busybox", securityContext: { privileged: true } };
    expect(read({ spec: { ephemeralContainers: [container] } }, "application/strategic-merge-patch+json")).toEqual(
      facts({ images: ["busybox"], privileged: true }),
    );
  });

  test.each([
    ["a container", { containers: [{ securityContext: { privileged: true } }] }],
    ["an init container", { initContainers: [{ securityContext: { privileged: true } }] }],
    ["a host process of a container", { containers: [{ securityContext: { windowsOptions: { hostProcess: true } } }] }],
    ["a host process of the pod", { securityContext: { windowsOptions: { hostProcess: true } } }],
  ])("is privileged by %s", (_, spec) => {
    expect(read({ spec })).toEqual(facts({ privileged: true }));
  });

  test("has every host namespace, and the old name of the service account", () => {
    const spec = { hostNetwork: true, hostPID: true, hostIPC: true, serviceAccountName: "", serviceAccount: "old" };
    expect(read({ spec })).toEqual(facts({ host_namespaces: ["network", "pid", "ipc"], service_account: "old" }));
  });

  test("is nothing where the body has nothing of it, or in other types", () => {
    const odd = { containers: [null, 5, { image: 5, securityContext: "privileged" }], hostNetwork: "true" };
    for (const body of [{}, [], null, "text", { spec: null }, { spec: odd }, { spec: { containers: "x" } }]) {
      expect(read(JSON.stringify(body))).toEqual(NOTHING);
    }
  });

  test("is bounded, and shows no control characters", () => {
    const containers = Array.from({ length: 30 }, (_, index) => ({ image: `${index}\u001b[2J${"x".repeat(300)}` }));
    const result = read({ spec: { containers, serviceAccountName: `a\u0000${"b".repeat(300)}` } });
    if ("unread" in result) throw new Error(result.unread);
    expect(result.images.length).toBe(10);
    expect(result.more_images).toBe(20);
    expect(result.images.every((image) => image.length === 200)).toBe(true);
    expect(result.images[0]).toMatch(/^0\uFFFD\[2Jx+$/);
    expect(result.service_account).toMatch(/^a\uFFFDb{251}$/);
  });
});

describe("YAML", () => {
  test("is read as the API server reads it", () => {
    const text = `
apiVersion: v1
kind: Pod
spec:
  hostNetwork: yes
  hostPID: on
  containers:
    - &base
      name: a
      image: app:1
      securityContext: { privileged: True }
    - <<: *base
      name: b
    - <<: { image: merged:1 }
      name: c
`;
    expect(read(text, "application/yaml")).toEqual(
      facts({ images: ["app:1", "merged:1"], privileged: true, host_namespaces: ["network", "pid"] }),
    );
  });

  test.each([
    ["several documents", "spec: {}\n---\nspec: {}\n"],
    ["a repeated key", "spec: {}\nspec: { hostNetwork: true }\n"],
    ["an unknown tag", "spec: !pod {}\n"],
    ["an unknown alias", "spec: *pod\n"],
    ["no YAML", "spec: [}\n"],
    ["an alias bomb", `a: &a [x]\nb: [${"*a,".repeat(1_001)}]\n`],
    [
      "too many merges",
      `a: &a { ${Array.from({ length: 100 }, (_, i) => `k${i}: 1`).join(", ")} }\nb:\n${"  - <<: *a\n".repeat(20)}`,
    ],
    ["deep nesting", "[".repeat(200_000)],
    ["deep blocks", Array.from({ length: 150 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join("")],
    ["nothing", ""],
  ])("with %s is unread", (_, text) => {
    expect(read(text, YAML_TYPE)).toEqual({ unread: "invalid" });
  });

  test("of another version is unread", () => {
    expect(read("%YAML 1.2\n---\nspec: { hostNetwork: yes }\n", YAML_TYPE)).toEqual({ unread: "ambiguous" });
  });
});

describe("JSON", () => {
  test.each([
    ["a repeated key", '{"spec":{"hostNetwork":true},"spec":{}}', "ambiguous"],
    ["an escaped repeated key", '{"spec":{"hostNetwork":true},"sp\\u0065c" :\n{}}', "ambiguous"],
    ["a repeated key deep inside", '{"spec":{"containers":[{"image":"a","image":"b"}]}}', "ambiguous"],
    ["something behind it", '{"spec":{}}{"spec":{}}', "invalid"],
    ["a byte order mark", "\uFEFF{}", "invalid"],
    ["YAML in its place", "spec: {}", "invalid"],
    ["deep nesting", "[".repeat(200_000), "invalid"],
  ])("with %s is unread", (_, text, unread) => {
    expect(read(text)).toEqual({ unread });
  });

  test.each([
    '{"a":"b\\":c","spec":{"hostIPC":true}}',
    '{"a":{"x":1},"b":{"x":1},"spec":{"hostIPC":true}}',
    '{"metadata":{"annotations":{"x":"{\\"spec\\":{\\"spec\\":1}}"}},"spec":{"hostIPC":true}}',
    '{"__proto__":{"spec":1},"spec":{"hostIPC":true}}',
    `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)},"spec":{"hostIPC":true}}`,
  ])("with no repeated key is read: %.40s", (text) => {
    expect(read(text)).toEqual(facts({ host_namespaces: ["ipc"] }));
  });

  test("does not take a prototype for a member", () => {
    expect(read('{"__proto__":{"spec":{"hostIPC":true}}}')).toEqual(NOTHING);
    expect(read('{"spec":{"__proto__":{"hostIPC":true}}}')).toEqual(NOTHING);
  });
});

describe("a JSON patch", () => {
  test("is read by what it puts in, wherever", () => {
    const patch = [
      { op: "test", path: "/spec/hostIPC", value: true },
      { op: "add", path: "/spec/template/spec/hostNetwork", value: true },
      { op: "replace", path: "/spec/template/spec/containers/0/image", value: "one:1" },
      { op: "add", path: "/spec/template/spec/containers/-", value: { image: "two:1" } },
      { op: "add", path: "/spec/template/spec/containers/-", value: { image: "three:1" } },
      { op: "add", path: "/spec/template/spec/containers/0/securityContext/privileged", value: true },
      { op: "remove", path: "/spec/hostPID" },
      { op: "replace", path: "/metadata/labels/a~1b", value: "x" },
    ];
    expect(read(patch, JSON_PATCH)).toEqual(
      facts({ images: ["one:1", "two:1", "three:1"], privileged: true, host_namespaces: ["network"] }),
    );
    expect(read([{ op: "replace", path: "", value: { spec: SPEC } }], JSON_PATCH)).toEqual(SPEC_FACTS);
  });

  test.each([
    [[{ op: "copy", from: "/metadata/annotations/x", path: "/spec/containers/0/image" }]],
    [[{ op: "move", from: "/metadata/annotations/x", path: "/spec/containers/0/image" }]],
    [[{ op: "add", path: 5, value: 1 }]],
    [[null]],
    [{ spec: SPEC }],
  ])("that takes its values from elsewhere, or is none, is unread: %j", (patch) => {
    expect(read(patch, JSON_PATCH)).toEqual({ unread: "ambiguous" });
  });
});

describe("other formats", () => {
  test.each([
    ["application/vnd.kubernetes.protobuf", "protobuf"],
    ["application/vnd.kubernetes.protobuf;stream=watch", "protobuf"],
    ["application/cbor", "cbor"],
    ["application/apply-patch+cbor", "cbor"],
    ["text/plain", "content_type"],
    ["application/json, application/yaml", "content_type"],
    ["constructor", "content_type"],
  ])("%s is unread", (contentType, unread) => {
    expect(unreadFormat(contentType)).toBe(unread);
    expect(read({ spec: SPEC }, contentType)).toEqual({ unread });
  });

  test("and so is more than 256 KiB", () => {
    const pad = (length: number) => {
      const body = JSON.stringify({ spec: { hostIPC: true, x: "" } });
      return body.replace('""', `"${"x".repeat(length - body.length)}"`);
    };
    expect(read(pad(MAX_READ_BYTES))).toEqual(facts({ host_namespaces: ["ipc"] }));
    expect(read(pad(MAX_READ_BYTES + 1))).toEqual({ unread: "too_large" });
  });
});

describe("bodies are read of requests that write pods", () => {
  const is = (request: string) => {
    const [method = "", path = ""] = request.split(" ");
    const info = parseRequestInfo(method, new URL(path, "http://localhost"));
    if (!info.ok) throw new Error(info.error);
    return writesPods(method, info.value);
  };
  const NS = "namespaces/demo";

  test.each([
    `POST /api/v1/${NS}/pods`,
    `PUT /api/v1/${NS}/pods/web`,
    `PATCH /api/v1/${NS}/pods/web/ephemeralcontainers`,
    `POST /apis/apps/v1/${NS}/deployments`,
    `PATCH /apis/apps/v1/${NS}/statefulsets/web`,
    `PUT /apis/apps/v1/${NS}/daemonsets/web`,
    `POST /apis/batch/v1/${NS}/cronjobs`,
    `POST /api/v1/${NS}/podtemplates`,
  ])("%s", (request) => {
    expect(is(request)).toBe(true);
  });

  test.each([
    `GET /api/v1/${NS}/pods/web`,
    `DELETE /api/v1/${NS}/pods/web`,
    `PATCH /api/v1/${NS}/pods/web/status`,
    `POST /api/v1/${NS}/pods/web/eviction`,
    `POST /api/v1/${NS}/secrets`,
    `PATCH /apis/apps/v1/${NS}/deployments/web/scale`,
    `POST /apis/example.com/v1/${NS}/pods`,
    "POST /pods",
  ])("but not of %s", (request) => {
    expect(is(request)).toBe(false);
  });
});
