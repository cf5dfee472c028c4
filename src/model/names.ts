/** Names of recipes, platforms, images and mounts: they become folder, container and host names. */
const NAME = /^[a-z0-9][a-z0-9.+_-]{0,63}$/i;
const TARGET_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** True for a recipe, platform or image name: lower case, digits and hyphens. */
export function isTargetName(name: string): boolean {
  return TARGET_NAME.test(name);
}

/** True for a mount name: what may stand below /in. */
export function isMountName(name: string): boolean {
  return NAME.test(name);
}
