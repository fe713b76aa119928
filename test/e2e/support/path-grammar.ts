/** Generates requests that resemble the Kubernetes API's, in encodings that no client uses. */
import type { Random } from "../../support/random.ts";

export interface GeneratedRequest {
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
}

type List = readonly [string, ...string[]];

const METHODS: List = ["GET", "GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const NAMES: List = [
  "shell",
  "web",
  "localhost",
  "hostile-none",
  "exec",
  "pods",
  "proxy",
  "watch",
  "https:web:443",
  "a.b",
];
const NAMESPACES: List = ["demo", "demo", "default", "namespaces", "status", "pods"];
const CORE: List = ["pods", "pods", "pods", "services", "nodes", "configmaps", "secrets", "namespaces", "pod", "Pods"];
const GROUPED: List = ["deployments", "pods", "virtualmachineinstances", "clusters", "namespaces", "jobs"];
const GROUPS: List = ["apps", "batch", "example.org", "subresources.kubevirt.io", "cluster.karmada.io", "v1"];
const VERSIONS: List = ["v1", "v1", "v1", "v1beta1", "v2"];
const SUBRESOURCES: List = [
  ...(["exec", "exec", "attach", "portforward", "proxy", "proxy", "log", "status", "finalize", "scale"] as const),
  ...(["ephemeralcontainers", "eviction", "binding", "token", "console", "vnc", "EXEC", "exe"] as const),
];
const TAILS: List = [
  ...(["x", "x/y", "exec", "run/demo/shell/shell", "api/v1/pods", "", "a//b", "a%2Fb"] as const),
  ...(["api/v1/nodes/localhost/proxy/run/demo/shell/shell", "api/v1/proxy/nodes/localhost/pods"] as const),
];
const PATH_VERBS: List = ["watch", "proxy"];
const OTHERS: List = [
  "/",
  "/version",
  "/healthz",
  "/api",
  "/apis",
  "/api/v1",
  "/apis/apps/v1",
  "/logs/x",
  "/openapi/v2",
];
const QUERIES: List = [
  ...(["watch=true", "watch=0", "watch=", "watch", "watch=fal%C5%BFe", "watch=1;", "%77atch=1", "watch=%zz"] as const),
  ...(["watch=false&watch=true", "Watch=1", "limit=5", "limit=x", "limit=-1", "limit=", "timeoutSeconds=1"] as const),
  ...([
    "timeoutSeconds=x",
    "resourceVersion=5",
    "allowWatchBookmarks=yes",
    "continue=x",
    "labelSelector=a%3Db",
  ] as const),
  ...(["labelSelector=a%3D%3D%3Db", "labelSelector=", "fieldSelector=metadata.name%3Dshell"] as const),
  ...(["fieldSelector=metadata.name==shell", "fieldSelector=metadata.name=a,metadata.namespace=demo"] as const),
  ...(["fieldSelector=metadata.name!%3Dshell", "fieldSelector=metadata.name%3Da%2Fb", "fieldSelector=x"] as const),
  ...(["fieldSelector=metadata.name%3Da%5C%2Cb", "fieldSelector=metadata.name=..", "fieldSelector="] as const),
  ...(["command=true", "command=a;b", "container=shell", "tty=1", "ports=80", "a=b&&c", "%", "a=%ff", "+=+"] as const),
];
/** Inserted before, after or into a segment. */
const ODD: List = [
  ...(["%2F", "%2f", "%252F", "%", "%zz", "%00", "%0a", "%20", "+", ";", ";x=1", ".", "..", "%2e", "%2e%2e"] as const),
  ...([
    "%5C",
    "%C0%AF",
    "%C2%A0",
    "%E2%80%8B",
    "%EF%BB%BF",
    "%C5%BF",
    "%FF",
    ":",
    "@",
    "~",
    "%3B",
    "%25",
    "*",
    "'",
  ] as const),
];

/** Generates one request. The same seed gives the same request. */
export function generateRequest(random: Random): GeneratedRequest {
  let segments = random.chance(0.04) ? random.pick(OTHERS).split("/").slice(1) : resourcePath(random);
  for (let left = mutationCount(random); left > 0; left--) segments = mutate(segments, random);
  const query = Array.from({ length: random.below(3) }, () => random.pick(QUERIES)).join("&");
  return { method: random.pick(METHODS), target: `/${segments.join("/")}${query === "" ? "" : `?${query}`}` };
}

/** Many paths stay unchanged, so that the two readings are also compared on many valid requests. */
const mutationCount = (random: Random) => random.pick([0, 0, 1, 1, 1, 2, 3]);

function resourcePath(random: Random): string[] {
  if (random.chance(0.25)) return sessionPath(random);
  const isCore = random.chance(0.75);
  const path = isCore ? ["api", random.pick(VERSIONS)] : ["apis", random.pick(GROUPS), random.pick(VERSIONS)];
  if (random.chance(0.12)) path.push(random.pick(PATH_VERBS));
  if (random.chance(0.75)) path.push("namespaces", random.pick(NAMESPACES));
  path.push(random.pick(isCore ? CORE : GROUPED));
  if (random.chance(0.8)) path.push(random.pick(NAMES));
  else return path;
  if (random.chance(0.75)) path.push(random.pick(SUBRESOURCES));
  if (random.chance(0.15)) path.push(...random.pick(TAILS).split("/"));
  return path;
}

/** A path that opens a session. */
function sessionPath(random: Random): string[] {
  const subresource = random.pick(["exec", "attach", "portforward"]);
  return ["api", "v1", "namespaces", "demo", "pods", random.pick(NAMES), subresource];
}

function mutate(segments: readonly string[], random: Random): string[] {
  const at = random.below(segments.length);
  const segment = segments[at] ?? "";
  const replaced = (text: string) => segments.toSpliced(at, 1, text);
  switch (random.below(14)) {
    case 0:
      return replaced(escapeSome(segment, random, 0.3));
    case 1:
      return replaced(escapeSome(segment, random, 1));
    case 2:
      return replaced(escapeSome(segment, random, 0.3).replaceAll("%", "%25"));
    case 3:
      return segments.toSpliced(at, 0, "");
    case 4:
      return segments.toSpliced(at, 0, random.pick(["..", ".", "%2e%2e", "x/..", "%2e", "...", ".%2E"]));
    case 5:
      return segments.toSpliced(
        at,
        2,
        segments.slice(at, at + 2).join(random.pick(["%2F", "%2f", "%252F", "%5C", "\\"])),
      );
    case 6:
      return replaced(random.chance(0.5) ? segment.toUpperCase() : swapCase(segment));
    case 7:
      return segments.toSpliced(at, 1);
    case 8:
      return segments.toSpliced(at, 0, segment);
    case 9:
      return [...segments, ""];
    case 10:
      return replaced(segment + random.pick(ODD));
    case 11:
      return replaced(random.pick(ODD) + segment);
    case 12:
      return segments.toSpliced(at, 0, random.pick([...SUBRESOURCES, ...PATH_VERBS, "namespaces"]));
    default:
      return replaced(random.pick([...SUBRESOURCES, ...CORE, ...NAMES, ...PATH_VERBS]));
  }
}

function escapeSome(text: string, random: Random, probability: number): string {
  return Array.from(text, (character) => {
    if (!random.chance(probability) || !/[\w.:-]/.test(character)) return character;
    const hex = character.charCodeAt(0).toString(16);
    return `%${random.chance(0.5) ? hex.toUpperCase() : hex}`;
  }).join("");
}

function swapCase(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
