/** The WhatsApp account, in Spanish. */

import type { Count } from '../count';
import type { AccountText } from '../en/account';

export const account = (count: Count): AccountText => ({
  title: 'Cuenta',
  budget: 'Techo',
  budgetHelp: (n) => count(n, 'mensaje', 'mensajes') + ' por segundo, nunca más',
  limit: 'Personas nuevas en 24 horas',
  limitNone: 'sin límite',
  limitUnknown: 'desconocido',
  templates: 'Plantillas',
  asked: (time) => `Según WhatsApp a las ${time}`,
  name: 'Nombre',
  language: 'Idioma',
  category: 'Categoría',
  quality: 'Calidad',
  status: 'Estado',
  statuses: { APPROVED: 'Aprobada', PENDING: 'En revisión de Meta', REJECTED: 'Rechazada por Meta', PAUSED: 'En pausa por Meta', DISABLED: 'Desactivada por Meta' },
  notices: 'Avisos de Meta',
  noNotices: 'Meta no ha enviado avisos sobre tu cuenta, número o plantillas.',
});
