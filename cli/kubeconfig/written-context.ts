/** What is written into kubeconfigs. */

export interface ExecUser {
  readonly command: string;
  readonly args: readonly string[];
}

/** A cluster to write, with its context and its user, which all have one name. */
export interface WrittenContext {
  readonly name: string;
  readonly server: string;
  /** PEM. */
  readonly certificateAuthority?: string | undefined;
  /** Undefined: no credentials, for a device with WARP. */
  readonly exec: ExecUser | undefined;
}
