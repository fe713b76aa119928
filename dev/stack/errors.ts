/** An error that the user can act on. Its message is printed without a stack trace. */
export class StackError extends Error {
  override readonly name = "StackError";
}

/** The `code` of a Node system error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
