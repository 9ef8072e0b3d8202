//! `wasi:sockets`. A component may import it, and gets no network: every attempt is denied.

use super::Failure;
use super::command::bindings::wasi::sockets;
use super::poll::Pollable;
use crate::Wasi;
use sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use sockets::{ip_name_lookup, tcp, udp};
use wasmtime::Result;
use wasmtime::component::Resource;

/// The network, of which nothing can be reached.
#[derive(Debug)]
pub struct Network;

/// A socket. There is none.
#[derive(Debug)]
pub enum Socket {}

type Denied<T> = Result<std::result::Result<T, ErrorCode>>;

fn denied<T>() -> Denied<T> {
    Ok(Err(ErrorCode::AccessDenied))
}

impl Wasi {
    /// Ends the component, which can't have a socket.
    fn none<T>(&self, socket: &Resource<Socket>) -> Result<T> {
        match *self.resources.get(socket)? {}
    }
}

impl sockets::network::Host for Wasi {
    fn network_error_code(&mut self, failure: Resource<Failure>) -> Result<Option<ErrorCode>> {
        self.resources.get(&failure)?;
        Ok(None)
    }
}

impl sockets::network::HostNetwork for Wasi {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.resources.delete(network)?;
        Ok(())
    }
}

impl sockets::instance_network::Host for Wasi {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.give(Network)?)
    }
}

impl sockets::tcp_create_socket::Host for Wasi {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> Denied<Resource<Socket>> {
        denied()
    }
}

impl sockets::udp_create_socket::Host for Wasi {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> Denied<Resource<Socket>> {
        denied()
    }
}

impl ip_name_lookup::Host for Wasi {
    fn resolve_addresses(&mut self, _: Resource<Network>, _: String) -> Denied<Resource<Socket>> {
        denied()
    }
}

/// Defines functions on sockets, of which there are none.
macro_rules! on_sockets {
    ($(fn $name:ident($($argument:ty),*) -> $result:ty;)+) => {
        $(fn $name(&mut self, socket: Resource<Socket> $(, _: $argument)*) -> Result<$result> {
            self.none(&socket)
        })+

        fn drop(&mut self, socket: Resource<Socket>) -> Result<()> {
            match self.resources.delete(socket)? {}
        }
    };
}

type Answer<T> = std::result::Result<T, ErrorCode>;

impl ip_name_lookup::HostResolveAddressStream for Wasi {
    on_sockets! {
        fn resolve_next_address() -> Answer<Option<sockets::network::IpAddress>>;
        fn subscribe() -> Resource<Pollable>;
    }
}

impl tcp::Host for Wasi {}

impl tcp::HostTcpSocket for Wasi {
    on_sockets! {
        fn start_bind(Resource<Network>, IpSocketAddress) -> Answer<()>;
        fn finish_bind() -> Answer<()>;
        fn start_connect(Resource<Network>, IpSocketAddress) -> Answer<()>;
        fn finish_connect() -> Answer<(Resource<tcp::InputStream>, Resource<tcp::OutputStream>)>;
        fn start_listen() -> Answer<()>;
        fn finish_listen() -> Answer<()>;
        fn accept() -> Answer<(Resource<Socket>, Resource<tcp::InputStream>, Resource<tcp::OutputStream>)>;
        fn local_address() -> Answer<IpSocketAddress>;
        fn remote_address() -> Answer<IpSocketAddress>;
        fn is_listening() -> bool;
        fn address_family() -> IpAddressFamily;
        fn set_listen_backlog_size(u64) -> Answer<()>;
        fn keep_alive_enabled() -> Answer<bool>;
        fn set_keep_alive_enabled(bool) -> Answer<()>;
        fn keep_alive_idle_time() -> Answer<u64>;
        fn set_keep_alive_idle_time(u64) -> Answer<()>;
        fn keep_alive_interval() -> Answer<u64>;
        fn set_keep_alive_interval(u64) -> Answer<()>;
        fn keep_alive_count() -> Answer<u32>;
        fn set_keep_alive_count(u32) -> Answer<()>;
        fn hop_limit() -> Answer<u8>;
        fn set_hop_limit(u8) -> Answer<()>;
        fn receive_buffer_size() -> Answer<u64>;
        fn set_receive_buffer_size(u64) -> Answer<()>;
        fn send_buffer_size() -> Answer<u64>;
        fn set_send_buffer_size(u64) -> Answer<()>;
        fn subscribe() -> Resource<Pollable>;
        fn shutdown(tcp::ShutdownType) -> Answer<()>;
    }
}

impl udp::Host for Wasi {}

impl udp::HostUdpSocket for Wasi {
    on_sockets! {
        fn start_bind(Resource<Network>, IpSocketAddress) -> Answer<()>;
        fn finish_bind() -> Answer<()>;
        fn stream(Option<IpSocketAddress>) -> Answer<(Resource<Socket>, Resource<Socket>)>;
        fn local_address() -> Answer<IpSocketAddress>;
        fn remote_address() -> Answer<IpSocketAddress>;
        fn address_family() -> IpAddressFamily;
        fn unicast_hop_limit() -> Answer<u8>;
        fn set_unicast_hop_limit(u8) -> Answer<()>;
        fn receive_buffer_size() -> Answer<u64>;
        fn set_receive_buffer_size(u64) -> Answer<()>;
        fn send_buffer_size() -> Answer<u64>;
        fn set_send_buffer_size(u64) -> Answer<()>;
        fn subscribe() -> Resource<Pollable>;
    }
}

impl udp::HostIncomingDatagramStream for Wasi {
    on_sockets! {
        fn receive(u64) -> Answer<Vec<udp::IncomingDatagram>>;
        fn subscribe() -> Resource<Pollable>;
    }
}

impl udp::HostOutgoingDatagramStream for Wasi {
    on_sockets! {
        fn check_send() -> Answer<u64>;
        fn send(Vec<udp::OutgoingDatagram>) -> Answer<u64>;
        fn subscribe() -> Resource<Pollable>;
    }
}
