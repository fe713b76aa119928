/**
 * Why an export cannot continue until a person has looked at it. D1 or R2 being away is none of these: the
 * next run tries again.
 */
export interface ExportFailure {
  /**
   * `row_replaced`: D1 no longer has the row that was exported last. `metadata_missing`: the newest object
   * does not say how far it goes.
   */
  readonly code: "row_replaced" | "metadata_missing";
  /** For a person: what happened, and what to do. */
  readonly message: string;
}
