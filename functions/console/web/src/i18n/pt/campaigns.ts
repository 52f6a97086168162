/** The list of campaigns, in Portuguese. */

import type { Count } from '../count';
import type { CampaignsText } from '../en/campaigns';

export const campaigns = (count: Count): CampaignsText => ({
  title: 'Campanhas',
  search: 'Buscar por nome',
  state: 'Estado',
  all: 'Todas',
  filters: { open: 'Em andamento', waiting: 'Esperam você', over: 'Encerradas' },
  tests: 'Mostrar envios de teste',
  name: 'Nome',
  progress: 'Progresso',
  rows: 'Linhas',
  read: 'Lidas',
  created: 'Criada',
  by: (name) => `por ${name}`,
  rowsOf: (n) => count(n, 'linha', 'linhas'),
  settled: (share) => `${share} feito`,
  empty: 'Ainda não há campanhas',
  emptyHelp: 'Uma campanha envia um modelo a todas as pessoas de uma tabela. Você vê cada mensagem antes do envio.',
  noMatch: 'Nenhuma campanha corresponde',
  noMatchHelp: 'Tente um nome mais curto ou mostre todos os estados.',
  clear: 'Mostrar todas as campanhas',
  shown: (n) => count(n, 'campanha', 'campanhas'),
});
