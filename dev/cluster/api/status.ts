/**
 * `metav1.Status`: the API server's answer to a failed request. The messages follow apimachinery's errors.go.
 */
export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, never>;
  status: "Failure" | "Success";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason?: string; message: string; field?: string }[];
}

export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

/** Ends a request with this Status. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: Status;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    const failure = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" } as const;
    this.status = { ...failure, message, reason, ...(details === undefined ? {} : { details }), code };
  }
}

export const qualified = ({ group, resource }: GroupResource): string =>
  group === "" ? resource : `${resource}.${group}`;

const detailsOf = ({ group, resource }: GroupResource, name: string): StatusDetails => ({
  ...(name === "" ? {} : { name }),
  ...(group === "" ? {} : { group }),
  kind: resource,
});

export const badRequest = (message: string): StatusError => new StatusError(400, "BadRequest", message);

export const notFound = (resource: GroupResource, name: string): StatusError =>
  new StatusError(404, "NotFound", `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));

/** No such path or resource. kubectl reads exactly this answer as "the server does not have this API". */
export const unknownPath = (): StatusError =>
  new StatusError(404, "NotFound", "the server could not find the requested resource", {});

export const methodNotAllowed = (): StatusError =>
  new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");

export const alreadyExists = (resource: GroupResource, name: string): StatusError =>
  new StatusError(409, "AlreadyExists", `${qualified(resource)} "${name}" already exists`, detailsOf(resource, name));

export const conflict = (resource: GroupResource, name: string, why: string): StatusError =>
  new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );

/** An apply would change fields of other managers. `who` is the manager as the API server names it. */
export function applyConflict(conflicts: readonly { who: string; field: string }[]): StatusError {
  const managers = [...new Set(conflicts.map(({ who }) => who))];
  const fieldsOf = (manager: string) => conflicts.filter(({ who }) => who === manager).map(({ field }) => `- ${field}`);
  const [first] = conflicts;
  const summary =
    conflicts.length === 1
      ? `1 conflict: conflict with ${first?.who}: ${first?.field}`
      : `${conflicts.length} conflicts: ${managers.flatMap((who) => [`conflicts with ${who}:`, ...fieldsOf(who)]).join("\n")}`;
  return new StatusError(409, "Conflict", `Apply failed with ${summary}`, {
    causes: conflicts.map(({ who, field }) => ({
      ...{ reason: "FieldManagerConflict", message: `conflict with ${who}`, field },
    })),
  });
}

export const expired = (message: string): StatusError => new StatusError(410, "Expired", message);

export const unsupportedMediaType = (message: string): StatusError =>
  new StatusError(415, "UnsupportedMediaType", message);

export const internalError = (message: string): StatusError =>
  new StatusError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });

/** The object is invalid. `causes` name the fields. */
export function invalid(
  kind: string,
  name: string,
  causes: readonly { field: string; message: string }[],
  group = "",
): StatusError {
  const messages = causes.map(({ field, message }) => `${field}: ${message}`);
  const list = messages.length === 1 ? messages[0] : `[${messages.join(", ")}]`;
  return new StatusError(422, "Invalid", `${kind}${group === "" ? "" : `.${group}`} "${name}" is invalid: ${list}`, {
    name,
    ...(group === "" ? {} : { group }),
    kind,
    causes: causes.map(({ field, message }) => ({ reason: "FieldValueInvalid", message, field })),
  });
}

/** Refused by the authorizer. `sentence` begins with `User "..."`. */
export function forbidden(resource: GroupResource | undefined, name: string, sentence: string): StatusError {
  if (resource === undefined) return new StatusError(403, "Forbidden", `forbidden: ${sentence}`, {});
  const what = name === "" ? qualified(resource) : `${qualified(resource)} "${name}"`;
  return new StatusError(403, "Forbidden", `${what} is forbidden: ${sentence}`, detailsOf(resource, name));
}

/** The answer to a successful request that has no object to return. */
export function success(resource: GroupResource, name: string, uid: string): Status {
  const details = { ...detailsOf(resource, name), uid };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details, code: 200 };
}
