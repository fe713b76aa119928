import type { SharedBindings } from "../contract/bindings.ts";

/** What the objects' Worker has. */
export interface ObjectsBindings extends SharedBindings {
  /** Whom to tell of events, a secret: see notifications/configuration.ts. */
  readonly SALLYPORT_WEBHOOKS?: string;
  /** The version of this Worker, if the deployment binds it. */
  readonly VERSION?: { readonly id: string };
}
