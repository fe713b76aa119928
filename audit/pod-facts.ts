/** What a request asks for in the pods that it creates or changes, as its body says. Part of its events. */

/** Why the body was not read. */
export const UNREAD_REASONS = [
  /** Protobuf and CBOR are relayed, and not parsed here. */
  "protobuf",
  "cbor",
  /** A content type or a content encoding that is not known here. */
  "content_type",
  "too_large",
  /** No JSON and no YAML, or more complex than anybody writes. */
  "invalid",
  /** A reader of Kubernetes could see something else in it, as with a repeated key. */
  "ambiguous",
  /** The cluster answered before the body was there. */
  "incomplete",
] as const;
export type UnreadReason = (typeof UNREAD_REASONS)[number];

/** What is kept of a body. Names are as long as Kubernetes lets them be (DNS subdomain, RFC 1123). */
export const POD_FACTS_LIMITS = { images: 10, imageChars: 200, nameChars: 253 } as const;

export type PodFacts =
  | { readonly unread: UnreadReason }
  | {
      /** Each once. */
      readonly images: readonly string[];
      /** How many more there were. */
      readonly more_images: number;
      /** Whether a container asks for all privileges of the node, or on Windows for a host process. */
      readonly privileged: boolean;
      readonly host_namespaces: readonly HostNamespace[];
      /** null where the body names none: the default account, or that of an object which is changed. */
      readonly service_account: string | null;
    };

export const HOST_NAMESPACES = ["network", "pid", "ipc"] as const;
export type HostNamespace = (typeof HOST_NAMESPACES)[number];
