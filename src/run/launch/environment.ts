/**
 * What a launched router finds when it starts. Apart from `child.ts`, so that a router does
 * not load the launcher.
 *
 * @module
 */

/** The environment variables of a router's process. Secrets go through its stdin. */
export const RouterEnvironment = { number: "ONION_ROUTER", controlPort: "ONION_CONTROL_PORT" } as const;
