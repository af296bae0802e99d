// The hostile relay and everything to make it hostile, in one import.
export * from "./behaviour.ts";
export * from "./behaviours.ts";
export * from "./gate_behaviours.ts";
export * from "./hostile_relay.ts";
export * from "./http_behaviours.ts";
export * from "./protocol_behaviours.ts";
