/**
 * The objects' Worker. It is deployed apart from the edge, so that a change of rules, API or console ends no
 * session.
 *
 * The edge reaches its objects through the namespace binding alone. No route leads here.
 */
export { Directory } from "./directory/directory.ts";
export { UserSessions } from "./user-sessions.ts";

export default {
  fetch: () => new Response("this Worker answers no requests: use the edge's host name\n", { status: 404 }),
} satisfies ExportedHandler;
