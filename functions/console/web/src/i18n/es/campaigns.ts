/** The list of campaigns, in Spanish. */

import type { Count } from '../count';
import type { CampaignsText } from '../en/campaigns';

export const campaigns = (count: Count): CampaignsText => ({
  title: 'Campañas',
  search: 'Buscar por nombre',
  state: 'Estado',
  all: 'Todas',
  filters: { open: 'En curso', waiting: 'Te esperan', over: 'Terminadas' },
  tests: 'Mostrar envíos de prueba',
  name: 'Nombre',
  progress: 'Progreso',
  rows: 'Filas',
  read: 'Leídos',
  created: 'Creada',
  by: (name) => `por ${name}`,
  rowsOf: (n) => count(n, 'fila', 'filas'),
  settled: (share) => `${share} hecho`,
  empty: 'Aún no hay campañas',
  emptyHelp: 'Una campaña envía una plantilla a todas las personas de una tabla. Ves cada mensaje antes de enviarlo.',
  noMatch: 'Ninguna campaña coincide',
  noMatchHelp: 'Prueba con un nombre más corto o muestra todos los estados.',
  clear: 'Mostrar todas las campañas',
  shown: (n) => count(n, 'campaña', 'campañas'),
});
