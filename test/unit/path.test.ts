import { describe, expect, test } from "vitest";
import { decodePathname, findPathAmbiguity, rawRequestTarget } from "../../kubernetes/path.ts";
import { Random } from "../support/random.ts";

const POD = "/api/v1/namespaces/demo/pods/shell";
const SERVICE_PROXY = "/api/v1/namespaces/demo/services/web/proxy";

describe("a path that real clients send is unambiguous", () => {
  test.each([
    ["/"],
    ["/version"],
    ["/api"],
    ["/apis/"],
    ["/openapi/v3/apis/apps/v1"],
    ["/.well-known/openid-configuration"],
    [`${POD}/exec`],
    [`${POD}/exec/`],
    ["/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"],
    ["/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"],
    ["/apis/custom.metrics.k8s.io/v1beta1/namespaces/demo/pods/*/requests_per_second"],
    ["/api/v1/namespaces/demo/services/https:web:443/proxy/"],
    ["/api/v1/namespaces/demo/services/https%3Aweb%3A443/proxy/"],
    ["/apis/example.org/v1/widgets/na%20me"],
    ["/apis/example.org/v1/widgets/%C3%BC"],
    ["/apis/example.org/v1/widgets/a;b"],
    ["/apis/example.org/v1/widgets/..."],
    [SERVICE_PROXY],
    [`${SERVICE_PROXY}/`],
    [`${SERVICE_PROXY}//`],
    [`${SERVICE_PROXY}//with//empty/segments//`],
    [`${SERVICE_PROXY}/api/v4/projects/group%2Fname`],
    [`${SERVICE_PROXY}/a%252Fb`],
    [`${SERVICE_PROXY}/100%25`],
    [`${SERVICE_PROXY}/..foo/.hidden/a..b`],
    [`${SERVICE_PROXY}/https://example.org/x`],
    ["/api/v1/namespaces/demo/pods/web:8080/proxy/a//b"],
  ])("%s", (path) => {
    expect(findPathAmbiguity(path)).toBeUndefined();
  });
});

describe("an ambiguous path has a reason", () => {
  test.each([
    ["", "start with a slash"],
    ["api/v1/pods", "start with a slash"],
    ["\\api\\v1\\pods", "start with a slash"],
    ["//", "empty segment"],
    ["//api/v1/pods", "empty segment"],
    ["/api//v1/pods", "empty segment"],
    [`${POD}//exec`, "empty segment"],
    [`${POD}/exec//`, "empty segment"],
    ["/api/v1/namespaces//pods/shell/exec", "empty segment"],
    ["/api/v1/namespaces/demo//services/web/proxy/x", "empty segment"],
    ["/api/v1/namespaces/demo/pods/foo%2Fexec", "encoded slash"],
    ["/api/v1/namespaces/demo/pods/foo%2fexec", "encoded slash"],
    ["/api%2Fv1/pods", "encoded slash"],
    ["/api/v1/namespaces/demo/services/web%2Fproxy/x", "encoded slash"],
    ["/api/v1/./pods", "dot segment"],
    ["/api/v1/../v1/pods", "dot segment"],
    ["/api/v1/%2e/pods", "dot segment"],
    ["/api/v1/%2E%2e/pods", "dot segment"],
    ["/api/v1/.%2e/pods", "dot segment"],
    ["/..", "dot segment"],
    ["/api/v1/%252e%252e/pods", "percent-encoded twice"],
    ["/api/v1/namespaces/demo/pods/foo%252Fexec", "percent-encoded twice"],
    ["/api/v1/namespaces/demo/pods/100%25", "percent-encoded twice"],
    ["/api/v1/pods\\shell", "backslash"],
    ["/api/v1/pods%5Cshell", "backslash"],
    ["/api/v1/pods%00", "control character"],
    ["/api/v1/pods%0d%0aX-Evil:1", "control character"],
    ["/api/v1/pods\t", "control character"],
    ["/api/v1/pods%7F", "control character"],
    ["/api/v1/pods%C2%85", "control character"],
    ["/api/v1/pods%E2%80%A8", "control character"],
    ["/api/v1/pods/%ff", "invalid percent-encoding"],
    ["/api/v1/pods/%C0%AFexec", "invalid percent-encoding"],
    ["/api/v1/pods/%ED%A0%80", "invalid percent-encoding"],
    ["/api/v1/pods/%zz", "invalid percent-encoding"],
    ["/api/v1/pods/%", "invalid percent-encoding"],
    ["/api/v1/pods/\ud800", "invalid percent-encoding"],
    [`${SERVICE_PROXY}/..`, "dot segment"],
    [`${SERVICE_PROXY}/../../../../pods/shell/exec`, "dot segment"],
    [`${SERVICE_PROXY}/a/%2e%2e/%2e%2e`, "dot segment"],
    [`${SERVICE_PROXY}/..%2f..%2fpods`, "dot segment"],
    [`${SERVICE_PROXY}/a%2f..%2f..`, "dot segment"],
    [`${SERVICE_PROXY}/%252e%252e/x`, "dot segment"],
    [`${SERVICE_PROXY}/%25252e%25252e%25252fx`, "dot segment"],
    [`${SERVICE_PROXY}/..%255c..%255cx`, "dot segment"],
    [`${SERVICE_PROXY}/%${"25".repeat(5000)}2e`, "dot segment"],
    [`${SERVICE_PROXY}/a%5Cb`, "backslash"],
    [`${SERVICE_PROXY}/a%0Ab`, "control character"],
    [`${SERVICE_PROXY}/%ff`, "invalid percent-encoding"],
    ["/api/v1/namespaces/demo/services/web/%70roxy//x", "empty segment"],
    ["/api/v1/nodes/n1/proxy//exec", "empty segment"],
    ["/api/v1/namespaces/demo/nodes/n1/proxy//exec", "empty segment"],
    ["/apis/cluster.karmada.io/v1alpha1/clusters/c/proxy//api", "empty segment"],
  ])("%s", (path, reason) => {
    expect(findPathAmbiguity(path)).toContain(reason);
  });
});

describe("decoding a pathname", () => {
  test.each([
    ["/a%20b", "/a b"],
    ["/a+b", "/a+b"],
    ["/%252e", "/%2e"],
    ["/%EF%BB%BFexec", "/\ufeffexec"],
    ["/%zz", undefined],
    ["/%ff", undefined],
  ])("%s gives %j", (raw, decoded) => {
    expect(decodePathname(raw)).toBe(decoded);
  });
});

describe("the raw request target of a URL", () => {
  test.each([
    ["http://h", "/", ""],
    ["http://h?x=1", "/", "?x=1"],
    ["https://h:8443/api/v1/../v1/pods?a=b?c#d", "/api/v1/../v1/pods", "?a=b?c"],
    ["http://h/a/%2e%2e/b", "/a/%2e%2e/b", ""],
    ["http://h\\api/v1/pods", "\\api/v1/pods", ""],
    ["/api/v1/pods", "", ""],
    // URL parsers skip the slashes and read `x` as the host, so they have another path.
    ["http:///x/api/v1/nodes/n1/proxy", "", ""],
    ["http:////x/api/v1/nodes/n1/proxy", "", ""],
  ])("%s", (url, pathname, search) => {
    expect(rawRequestTarget(url)).toEqual({ pathname, search });
  });

  test("agrees with a URL parser for every unambiguous path", () => {
    const pieces = [
      "api",
      "v1",
      "a b",
      "%20",
      '"<>',
      "{}|^`",
      "ü",
      "%C3%BC",
      "..",
      ".",
      "%2e",
      "%2F",
      "\\",
      "",
      "a;b",
      "%25",
      "proxy",
    ];
    let unambiguous = 0;
    for (const first of pieces) {
      for (const second of pieces) {
        for (const third of pieces) {
          const raw = rawRequestTarget(`https://h/${first}/${second}/${third}?q=${first}`);
          if (findPathAmbiguity(raw.pathname) !== undefined) continue;
          unambiguous++;
          const parsed = new URL(`https://h/${first}/${second}/${third}`);
          expect(decodePathname(parsed.pathname)).toBe(decodePathname(raw.pathname));
        }
      }
    }
    expect(unambiguous).toBeGreaterThan(500);
  });
});

test("a path with nothing to decode is read as the same path with an escape", () => {
  const segments = [
    "a",
    "api",
    "v1",
    "namespaces",
    "pods",
    "services",
    "proxy",
    ".",
    "..",
    "...",
    ".a",
    "a..",
    "x:1",
    "",
    "~@-_",
  ];
  const random = new Random(17);
  for (let count = 0; count < 20_000; count++) {
    const picked = Array.from({ length: random.below(10) }, () => random.pick(segments));
    const before = ["", ...picked].join("/");
    const after = random.chance(0.5) ? "" : "/";
    const path = `${before}/a${after}`;
    expect([path, findPathAmbiguity(path)]).toEqual([path, findPathAmbiguity(`${before}/%61${after}`)]);
  }
});
