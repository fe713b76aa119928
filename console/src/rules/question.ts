/** A request that nobody sends, as people describe one, and as `GET /-/admin/explain` takes it. Pure. */
import { err, ok, type Result } from "../../../common/result.ts";

interface Verb {
  readonly name: string;
  readonly label: string;
  readonly method: string;
  /** Whether it is about one object. */
  readonly isOfOne: boolean;
  /** For sessions: the subresource, with the query that kubectl sends. */
  readonly session?: string;
}

/** As Kubernetes names them; kubectl's commands that open a session first. */
export const VERBS: readonly [Verb, ...Verb[]] = [
  {
    ...{ name: "exec", label: "exec: a shell or a command", method: "GET", isOfOne: true },
    session: "exec?command=sh&stdin=true&stdout=true&tty=true",
  },
  {
    ...{ name: "attach", label: "attach to what runs", method: "GET", isOfOne: true },
    session: "attach?stdin=true&stdout=true&tty=true",
  },
  { name: "port-forward", label: "port-forward", method: "GET", isOfOne: true, session: "portforward" },
  { name: "get", label: "get one", method: "GET", isOfOne: true },
  { name: "list", label: "list", method: "GET", isOfOne: false },
  { name: "watch", label: "watch", method: "GET", isOfOne: false },
  { name: "create", label: "create", method: "POST", isOfOne: false },
  { name: "update", label: "update (replace)", method: "PUT", isOfOne: true },
  { name: "patch", label: "patch (apply, edit)", method: "PATCH", isOfOne: true },
  { name: "delete", label: "delete one", method: "DELETE", isOfOne: true },
  { name: "deletecollection", label: "delete all", method: "DELETE", isOfOne: false },
];

/** The verb of a name; anything else counts as the first. */
export function verbOf(name: string): Verb {
  return VERBS.find((verb) => verb.name === name) ?? VERBS[0];
}

export interface Question {
  /** As `verbOf` reads it. */
  readonly verb: string;
  /** As rules name them: `pods`, `deployments.apps`, `pods/log`. Sessions are of pods. */
  readonly resource: string;
  /** Empty for objects without one, and for all. */
  readonly namespace: string;
  readonly name: string;
}

/** A dot segment would make another path of it. */
const PATH_PART = /^(?!\.{1,2}$)[^/\s]+$/;

/**
 * Makes the request of a question, such as `GET /api/v1/namespaces/prod/pods`.
 *
 * @returns what is missing, for a person
 */
export function requestOf({ verb: wanted, resource, namespace, name }: Question): Result<string, string> {
  const verb = verbOf(wanted);
  const isSession = verb.session !== undefined;
  const [base = "", subresource, ...rest] = (isSession ? "pods" : resource).split("/");
  if (base === "") return err("name a resource, such as pods, secrets or deployments.apps");
  const dot = base.indexOf(".");
  const [plural, group] = dot < 0 ? [base, undefined] : [base.slice(0, dot), base.slice(dot + 1)];
  if (isSession && namespace === "") return err("name the pod's namespace");
  if ((verb.isOfOne || subresource !== undefined) && name === "")
    return err(`name the ${isSession ? "pod" : "object"}`);
  // The version changes nothing of what is decided.
  const parts = [
    ...(group === undefined ? ["api", "v1"] : ["apis", group, "v1"]),
    ...(namespace === "" ? [] : ["namespaces", namespace]),
    ...[plural, ...(verb.isOfOne || subresource !== undefined ? [name] : []), ...(subresource ? [subresource] : [])],
  ];
  const isWritable = rest.length === 0 && parts.every((part) => PATH_PART.test(part));
  if (!isWritable) return err("names have neither spaces nor slashes");
  const path = `/${parts.map(encodeURIComponent).join("/")}`;
  const tail = verb.session === undefined ? (verb.name === "watch" ? "?watch=true" : "") : `/${verb.session}`;
  return ok(`${verb.method} ${path}${tail}`);
}
