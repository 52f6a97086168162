/** @type {import('@sveltejs/vite-plugin-svelte').SvelteConfig} */
export default {
  compilerOptions: {
    runes: true,
    // Tables name their roles: on narrow screens their rows are stacked by CSS, and browsers then forget them (WCAG 1.4.10).
    warningFilter: (warning) => warning.code !== 'a11y_no_redundant_roles',
  },
};
