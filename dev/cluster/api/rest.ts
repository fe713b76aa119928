import { z } from "zod";
import type { ResourceRequest } from "../auth/request-info.ts";
import { deletePod } from "../pods/kubelet.ts";
import { admitNew, admitUpdate } from "./admission.ts";
import { admitEphemeralContainers } from "./ephemeral-containers.ts";
import type { KubeObject, Pod } from "./objects.ts";
import { applyPatch } from "./patch.ts";
import { RESOURCES, type ResourceInfo, resourceNamed } from "./resources.ts";
import { fieldSelector, labelSelector, type Selector } from "./selectors.ts";
import { badRequest, conflict, forbidden, methodNotAllowed, notFound, type Status, success } from "./status.ts";
import type { Store } from "./storage.ts";
import { presentList, presentOne, type Representation } from "./table.ts";

/** A request on objects, with its body parsed. */
export interface ObjectRequest {
  readonly info: ResourceInfo;
  readonly request: ResourceRequest;
  readonly query: URLSearchParams;
  readonly representation: Representation;
  readonly contentType: string;
  readonly body: unknown;
}

export interface Answer {
  readonly code: number;
  readonly body: object;
}

const deleteOptionsSchema = z.looseObject({
  gracePeriodSeconds: z.int().min(0).nullish(),
  preconditions: z.looseObject({ uid: z.string().nullish() }).nullish(),
});
const SYSTEM_NAMESPACES = ["default", "kube-system"];

/** Does what the verb says to the stored objects; throws StatusError. Watches are not answered here. */
export function answerObjectRequest(store: Store, asked: ObjectRequest): Answer {
  const { info, request, query, representation } = asked;
  if (!verbsOf(asked).includes(request.verb)) throw methodNotAllowed();
  const namespace = scopeOf(asked);
  const one = (code: number, object: KubeObject): Answer => ({ code, body: presentOne(info, object, representation) });
  switch (request.verb) {
    case "get":
      return one(200, store.get(info, namespace, request.name));
    case "list": {
      const objects = store.list(info, namespace).filter(selectorOf(query));
      return { code: 200, body: presentList(info, objects, representation, store.revision) };
    }
    case "create":
      return one(201, create(store, asked, namespace));
    case "update":
      return one(
        200,
        replace(store, asked, namespace, () => asked.body),
      );
    case "patch":
      return one(
        200,
        replace(store, asked, namespace, (current) => applyPatch(asked.contentType, current, asked.body)),
      );
    case "delete":
      return remove(store, asked, store.get(info, namespace, request.name));
    case "deletecollection": {
      const gone = store.list(info, namespace).filter(selectorOf(query));
      for (const object of gone) remove(store, asked, object);
      return { code: 200, body: presentList(info, gone, representation, store.revision) };
    }
    default:
      throw methodNotAllowed();
  }
}

function verbsOf({ info, request }: ObjectRequest): readonly string[] {
  if (request.subresource === "") return info.verbs;
  return info.subresources.find(({ name }) => name === request.subresource)?.verbs ?? [];
}

/** What `labelSelector` and `fieldSelector` of the query select. */
export function selectorOf(query: URLSearchParams): Selector {
  const byLabel = labelSelector(query.get("labelSelector") ?? "");
  const byField = fieldSelector(query.get("fieldSelector") ?? "");
  return (object) => byLabel(object) && byField(object);
}

// A Namespace's own path has its name in the place of a namespace.
function scopeOf({ info, request }: ObjectRequest): string {
  if (!info.namespaced) return "";
  if (request.namespace === "" && request.name !== "") throw notFound(info, request.name);
  return request.namespace;
}

const isDryRun = (query: URLSearchParams): boolean => query.get("dryRun") === "All";

function create(store: Store, { info, body, query }: ObjectRequest, namespace: string): KubeObject {
  if (info.namespaced && namespace === "") throw methodNotAllowed();
  if (info.namespaced) store.get(resourceNamed("namespaces"), "", namespace);
  const object = admitNew(info, namespace, body);
  if (!isDryRun(query)) return store.create(info, object);
  const unstored = { uid: "", resourceVersion: "", creationTimestamp: "" };
  return { ...object, metadata: { ...object.metadata, ...unstored } };
}

function replace(
  store: Store,
  { info, request, query }: ObjectRequest,
  namespace: string,
  next: (current: KubeObject) => unknown,
): KubeObject {
  const current = store.get(info, namespace, request.name);
  // Of the subresources only this one is written as an object.
  const isEphemeral = request.subresource === "ephemeralcontainers";
  const body = next(current);
  const object = isEphemeral ? admitEphemeralContainers(info, current as Pod, body) : admitUpdate(info, current, body);
  return isDryRun(query) ? object : store.update(info, object);
}

function remove(store: Store, { info, request, query, body }: ObjectRequest, object: KubeObject): Answer {
  const options = deleteOptionsSchema.safeParse(body ?? {});
  if (!options.success) throw badRequest("invalid DeleteOptions");
  const { name, namespace = "", uid } = object.metadata;
  const expectedUid = options.data.preconditions?.uid;
  if (expectedUid != null && expectedUid !== uid) {
    const why = `Precondition failed: UID in precondition: ${expectedUid}, UID in object meta: ${uid}`;
    throw conflict(info, name, why);
  }
  const done: Status = success(info, name, uid);
  if (info.resource === "pods") {
    const pod = object as Pod;
    const asked = query.get("gracePeriodSeconds");
    const grace =
      options.data.gracePeriodSeconds ?? (asked === null ? pod.spec.terminationGracePeriodSeconds : Number(asked));
    return { code: 200, body: isDryRun(query) ? pod : deletePod(store, pod, grace) };
  }
  if (isDryRun(query)) return { code: 200, body: done };
  if (info.resource === "namespaces") emptyNamespace(store, request, name);
  store.remove(info, namespace, name);
  return { code: 200, body: done };
}

function emptyNamespace(store: Store, request: ResourceRequest, namespace: string): void {
  if (SYSTEM_NAMESPACES.includes(namespace)) throw forbidden(request, namespace, "this namespace may not be deleted");
  for (const info of RESOURCES.filter(({ namespaced }) => namespaced)) {
    for (const { metadata } of store.list(info, namespace)) store.remove(info, namespace, metadata.name);
  }
}
