package rehearsal.spark;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.LocalFileSystem;

/** The scheme `file`, with the cloud's storage in it and without the files of checksums that Hadoop adds. */
public final class LocalStorage extends LocalFileSystem {
  public LocalStorage() {
    super(new StorageFiles());
  }

  @Override
  public void initialize(URI name, Configuration configuration) throws IOException {
    super.initialize(name, configuration);
    setWriteChecksum(false);
    setVerifyChecksum(false);
  }

  /** The same for Hadoop's other interface, by which Delta writes its log. */
  public static final class Context extends DelegateToFileSystem {
    public Context(URI name, Configuration configuration) throws IOException, URISyntaxException {
      super(name, new StorageFiles(), configuration, "file", false);
    }
  }
}
