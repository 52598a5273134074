package rehearsal.spark;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.Path;

/** The scheme `dbfs`, to which a path without a scheme belongs on Databricks: dbfs:/x, dbfs:/Volumes/... */
public final class Dbfs extends StorageFiles {
  private static final URI NAME = URI.create("dbfs:///");

  @Override
  public String getScheme() {
    return "dbfs";
  }

  @Override
  public URI getUri() {
    return NAME;
  }

  @Override
  protected File other(Path path, String absolute) {
    return inDbfs(absolute);
  }

  @Override
  protected Path getInitialWorkingDirectory() {
    return new Path("dbfs:/");
  }

  /** The same for Hadoop's other interface, by which Delta writes its log. */
  public static final class Context extends DelegateToFileSystem {
    public Context(URI name, Configuration configuration) throws IOException, URISyntaxException {
      super(name, new Dbfs(), configuration, "dbfs", false);
    }

    @Override
    public int getUriDefaultPort() {
      return -1; // no server
    }
  }
}
