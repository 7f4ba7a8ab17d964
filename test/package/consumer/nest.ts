/** How NestJS compiles its users: decorators of the old kind, with the types of constructor parameters as metadata. */
import { EngineError, memory, app, type App, type Backend } from 'flowfabric';
import { testApp, type TestApp } from 'flowfabric/testing';
import { Placer, startTimerLoop } from 'flowfabric/engine';

const Injectable = (): ClassDecorator => () => undefined;
const Inject = (): ParameterDecorator => () => undefined;

@Injectable()
export class Jobs {
  constructor(
    @Inject() readonly placer: Placer,
    @Inject() readonly failure: EngineError,
    @Inject() readonly started: typeof startTimerLoop,
  ) {}
}

@Injectable()
export class Orders {
  private readonly app: App;

  constructor(@Inject() readonly backend: Backend) {
    this.app = app({ backend });
  }

  close(): Promise<void> {
    return this.app.close();
  }
}

const test: TestApp = testApp();
void test
  .close()
  .then(() => new Orders(memory()).close())
  .then(() => console.log('nest: ok'));
